"""The same training with gradstep.torch and with torch.optim."""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Callable, Iterable
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install '.[torch]'")

if "TORCH_AGAINST_TORCH" not in os.environ:
    front: Any = importlib.import_module("gradstep.torch")
else:  # so that the tests themselves can be tried: torch against torch
    front = torch.optim

SHARED = (
    "SGD", "ASGD", "Rprop", "Adagrad", "Adadelta", "RMSprop", "Adam", "AdamW", "NAdam", "RAdam",
    "Adamax",
)  # fmt: skip
STATEFUL = {"SGD": {"momentum": 0.9}}  # the options with which each has state

# Relative to the largest element: those of tests/spec.py.
TOLERANCE = {torch.float32: 2e-6, torch.float64: 1e-12}

ours_only = pytest.mark.skipif(front is torch.optim, reason="promised by gradstep.torch only")


def mixed(dtype: Any = torch.float64) -> list[Any]:
    """Parameters of every dense layout, and of few, no and many elements."""
    generator = torch.Generator().manual_seed(3)

    def normal(*shape: int) -> Any:
        return torch.randn(shape, dtype=dtype, generator=generator)

    values = (
        normal(),
        normal(0),
        normal(3, 0, 2),
        normal(1),
        normal(257),
        normal(13, 7),
        normal(11, 5).T,
        normal(3, 4, 5).permute(1, 2, 0),
        normal(2, 3, 4, 5).to(memory_format=torch.channels_last),
        normal(2, 3, 2, 2, 2).to(memory_format=torch.channels_last_3d),
    )
    return [torch.nn.Parameter(value) for value in values]


def few(dtype: Any = torch.float64) -> list[Any]:
    return [param for param in mixed(dtype) if param.numel() in (1, 91, 120)]


def params_of(opt: Any) -> list[Any]:
    return [param for group in opt.param_groups for param in group["params"]]


def set_gradients(params: Iterable[Any], step: int) -> None:
    """Noise, a drift, zeros here and there; at some steps none, at some of other strides."""
    generator = torch.Generator().manual_seed(100 + step)
    for i, param in enumerate(params):
        grad = 0.3 + torch.randn(param.shape, dtype=param.dtype, generator=generator)
        if grad.ndim:
            grad[..., step % 5 :: 7] = 0.0
        if step % 2:
            grad = torch.empty_like(param, requires_grad=False).copy_(grad)
        param.grad = None if (i + step) % 4 == 1 else grad


def steps(opt: Any, first: int, last: int) -> None:
    for step in range(first, last):
        set_gradients(params_of(opt), step)
        opt.step()


def network(dtype: Any = torch.float64) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        layers = torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2)
        return torch.nn.Sequential(*layers).to(dtype)


def loss_of(model: Any, step: int) -> Any:
    """A regression's loss, on a batch of its own for each step."""
    generator = torch.Generator().manual_seed(step)
    dtype = next(model.parameters()).dtype
    inputs = torch.randn(16, 4, generator=generator, dtype=dtype)
    return (model(inputs).to(dtype) - inputs[:, :2].sin()).square().mean()


def fit(model: Any, opt: Any, first: int, last: int) -> None:
    for step in range(first, last):
        opt.zero_grad()
        loss_of(model, step).backward()
        opt.step()


def assert_alike(train: Callable[[Any], Any], share: float = TOLERANCE[torch.float64]) -> None:
    """`train`, given a module of optimizers, returns one; parameters and state agree."""
    assert_equal_optimizers(train(front), train(torch.optim), share)


def assert_equal_optimizers(ours: Any, theirs: Any, share: float) -> None:
    params, expected = params_of(ours), params_of(theirs)
    assert_close(params, expected, share)
    slots: dict[str, tuple[list[Any], list[Any]]] = {}
    for param, other in zip(params, expected, strict=True):
        mine, its = ours.state.get(param, {}), theirs.state.get(other, {})
        if list(mine) != list(its):
            raise AssertionError(f"state has {list(mine)}, torch's {list(its)}")
        for slot, value in its.items():
            pair = slots.setdefault(slot, ([], []))
            pair[0].append(mine[slot])
            pair[1].append(value)
    for slot, (actual, wanted) in slots.items():
        assert_close(actual, wanted, share, f"state {slot!r}: ")


def assert_close(actual: list[Any], expected: list[Any], share: float, where: str = "") -> None:
    """Of the same formats and shapes, and equal up to a share of the largest element."""
    largest = max(float(e.detach().abs().max()) for e in expected if e.numel())
    for i, (a, e) in enumerate(zip(actual, expected, strict=True)):
        torch.testing.assert_close(
            a, e, rtol=0.0, atol=share * largest, msg=lambda text, i=i: f"{where}{i}: {text}"
        )
