"""Wrappers, the optimizers within, and closures for both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install '.[torch]'")
fronts = pytest.importorskip("gradstep.torch")

INNER: dict[str, Callable[[Any], Any]] = {
    "AdamW": lambda params: fronts.AdamW(params, lr=0.1),
    "torch.optim.SGD": lambda params: torch.optim.SGD(params, lr=0.1, momentum=0.9),
}
WRAPPERS: dict[str, Callable[[Any], Any]] = {
    "Lookahead": lambda opt: fronts.Lookahead(opt, k=2, alpha=0.3),
    "SAM": lambda opt: fronts.SAM(opt, rho=0.3),
    "ASAM": lambda opt: fronts.ASAM(opt, rho=0.3, eta=0.1),
}
ALL = pytest.mark.parametrize("wrapper", WRAPPERS)
SHARP = pytest.mark.parametrize("wrapper", ["SAM", "ASAM"])
ANY = pytest.mark.parametrize("inner", INNER)


def tensors(dtype: Any = None) -> list[Any]:
    rng = np.random.default_rng(3)
    shapes = ((40, 30), (30,), (), (0,), (3, 4, 5, 2))
    made = [torch.tensor(rng.normal(size=s), dtype=dtype or torch.float32) for s in shapes]
    made[-1] = made[-1].to(memory_format=torch.channels_last)
    return [torch.nn.Parameter(each) for each in made]


def closure_of(opt: Any, params: list[Any]) -> Callable[[], Any]:
    def closure() -> Any:
        opt.zero_grad()
        loss = sum((p.float() ** 4 / 4 + p.float()).sum() for p in params)
        loss.backward()
        return loss

    return closure


def bits(params: list[Any]) -> list[bytes]:
    values = [p.detach() for p in params]
    values = [v.view(torch.int16) if v.dtype == torch.bfloat16 else v for v in values]
    return [value.numpy().tobytes() for value in values]


def state_of(opt: Any) -> list[bytes]:
    entries = [opt.state[p] for p in opt.param_groups[0]["params"] if p in opt.state]
    return [t.detach().numpy().tobytes() for e in entries for _, t in sorted(e.items())]


def trained(opt: Any, params: list[Any], steps: int) -> list[bytes]:
    for _ in range(steps):
        opt.step(closure_of(opt, params))
    return bits(params)


def nth(n: int, closure: Callable[[], Any], act: Callable[[Any], Any]) -> Callable[[], Any]:
    calls: list[int] = []

    def act_once() -> Any:
        loss = closure()
        calls.append(1)
        return act(loss) if len(calls) == n else loss

    return act_once


def throw(error: BaseException) -> Callable[[Any], Any]:
    def act(loss: Any) -> Any:
        raise error

    return act
