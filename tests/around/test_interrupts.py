"""An interrupt wherever Python looks for signals leaves a wrapper as before or as after."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from tests.helpers import Array, everything
from tests.optimizer.test_interrupts import interrupted

pytestmark = pytest.mark.usefixtures("backend")

Objects = dict[str, Any]


def adam(start: float = 1.0, **options: Any) -> gs.Adam:
    params = {n: np.linspace(-start, 2.0, 6, dtype=np.float32).reshape(2, 3) for n in "ab"}
    copies = {n: p.astype(np.float16) for n, p in params.items()}
    return gs.Adam(params, lr=0.1, copies=copies, **options)


def grads(opt: Any) -> dict[str, Array]:
    return {name: p**3 + 1 for name, p in opt.params.items()}


def closure(opt: Any) -> Callable[[], Any]:
    return lambda: (1.0, grads(opt))


def lookahead(taken: int, k: int = 2) -> Objects:
    opt = gs.Lookahead(adam(), k=k)
    for _ in range(taken):
        opt.step(grads(opt))
    return {"opt": opt}


def sharp(cls: Any) -> Objects:
    opt = cls(adam(), rho=0.3)
    opt.step(closure(opt))
    return {"opt": opt}


def with_state() -> Objects:
    other = gs.Lookahead(adam(0.5), k=5, alpha=0.25)
    other.step(grads(other))
    return lookahead(1) | {"state": other.state_dict()}


def swapped(objects: Objects) -> None:
    with objects["opt"].swap_slow_weights():
        pass


def by_closure(objects: Objects) -> None:
    objects["opt"].step(closure(objects["opt"]))


def by_gradient(objects: Objects) -> None:
    objects["opt"].step(grads(objects["opt"]))


def nested() -> Objects:
    opt = gs.SAM(lookahead(1)["opt"], rho=0.3)
    return {"opt": opt}


CASES: dict[str, tuple[Callable[[], Objects], Callable[[Objects], object]]] = {
    "Lookahead between": (lambda: lookahead(2), by_gradient),
    "Lookahead at a k-th step": (lambda: lookahead(3), by_gradient),
    "Lookahead at its first k-th step": (lambda: lookahead(0, k=1), by_gradient),
    "Lookahead's load_state_dict": (with_state, lambda o: o["opt"].load_state_dict(o["state"])),
    "swap_slow_weights": (lambda: lookahead(1), swapped),
    "SAM": (lambda: sharp(gs.SAM), by_closure),
    "ASAM": (lambda: sharp(gs.ASAM), by_closure),
    "the first step of SAM": (lambda: {"opt": gs.SAM(adam(), rho=0.3)}, by_closure),
    "SAM around Lookahead": (nested, by_closure),
}


def plain(opt: Any) -> Any:
    slow = getattr(opt, "slow", None)
    arrays = everything(opt) | {f"{n}/copy": c for n, c in opt.copies.items()}
    if slow is not None:
        state = slow.state_dict()
        arrays |= {f"{n}/slow": s for n, s in state.pop("weights").items()}
        arrays |= {name: np.array(value) for name, value in state.items()}
    return {name: array.tobytes() for name, array in arrays.items()} | {"steps": opt.steps}


def go_on(objects: Objects) -> None:
    opt = objects["opt"]
    for _ in range(2):
        opt.step(grads(opt) if type(opt) is gs.Lookahead else closure(opt))


@pytest.mark.parametrize("case", CASES)
def test_an_interrupt_leaves_a_wrapper_as_before_or_as_after(case: str) -> None:
    make, act = CASES[case]
    expected = []
    for done in (False, True):
        objects = make()
        if done:
            act(objects)
        now = plain(objects["opt"])
        go_on(objects)
        expected.append((now, plain(objects["opt"])))
    interrupted(act, make(), -1)  # CPython 3.12 traces opcodes from the second time on
    point = 1
    while interrupted(act, objects := make(), point):
        now = plain(objects["opt"])
        assert now in (expected[0][0], expected[1][0]), point
        go_on(objects)
        assert (now, plain(objects["opt"])) in expected, point
        point += 1
    assert point > 5
