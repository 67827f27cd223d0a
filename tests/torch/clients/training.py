"""What the tests of clients share: a small problem, and the same training with two optimizers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install '.[torch]'")
ours = pytest.importorskip("gradstep.torch")

Class = type[torch.optim.Optimizer]
Tensors = Mapping[str, torch.Tensor]

# How far parameters of about 1 may be from one another after some dozens of steps.
FLOAT32 = 5e-7
AUTOCAST = 3e-3  # a weight that rounds to another bfloat16 changes the steps that follow


def examples(n: int = 96) -> tuple[torch.Tensor, torch.Tensor]:
    """Points with six features, and which of three classes each is of."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(n, 6, generator=generator)
    return x, (x @ torch.randn(6, 3, generator=generator)).argmax(1)


def network() -> torch.nn.Sequential:
    """A classifier for the examples, always with the same parameters."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        return torch.nn.Sequential(torch.nn.Linear(6, 16), torch.nn.Tanh(), torch.nn.Linear(16, 3))


def values(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Copies of a module's parameters."""
    return {name: p.detach().clone() for name, p in module.named_parameters()}


def assert_stepped(optimizer: Any, optimizer_class: Class, steps: int) -> None:
    """That what a client holds is of this very class, and has made so many steps."""
    assert type(optimizer) is optimizer_class
    if hasattr(optimizer, "steps"):
        assert optimizer.steps == steps
    for state in optimizer.state.values():
        assert state.get("step", steps) == steps


def assert_equal(a: Tensors, b: Tensors) -> None:
    """That all tensors are the same, bit for bit."""
    torch.testing.assert_close(dict(a), dict(b), rtol=0, atol=0)


def assert_trains_alike(
    train: Callable[[Class], Tensors], name: str, *, atol: float = FLOAT32
) -> None:
    """That a training ends where it ends with torch.optim's optimizer of that name."""
    mine, theirs = train(getattr(ours, name)), train(getattr(torch.optim, name))
    torch.testing.assert_close(dict(mine), dict(theirs), rtol=0, atol=atol)
