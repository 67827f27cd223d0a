"""An interrupt wherever Python looks for signals leaves a wrapper as before or as after."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.optimizer.test_interrupts import interrupted

torch = pytest.importorskip("torch", reason="torch is not installed: pip install '.[torch]'")
fronts = pytest.importorskip("gradstep.torch")

pytestmark = pytest.mark.usefixtures("native")  # which writes and counts in one call

Objects = dict[str, Any]


def made(wrap: Callable[[Any], Any], taken: int) -> Objects:
    params = [torch.nn.Parameter(torch.linspace(-1, 2, 6)) for _ in range(2)]
    halves = [p.detach().bfloat16() for p in params]
    opt = wrap(fronts.Adam(params, lr=0.1, copies=halves))
    objects = {"opt": opt, "params": params, "halves": halves}
    for _ in range(taken):
        act(objects)
    return objects


def act(objects: Objects) -> None:
    def closure() -> float:
        for param in objects["params"]:
            param.grad = param.detach() ** 3 + 1
        return 1.0

    objects["opt"].step(closure)


def plain(objects: Objects) -> Any:
    opt, params = objects["opt"], objects["params"]
    tensors = [*params, *(half.float() for half in objects["halves"])]
    tensors += [t for p in params for _, t in sorted(opt.state.get(p, {}).items())]
    if type(opt) is fronts.Lookahead:
        tensors += [opt.slow[p] for p in params]
    return [tensor.detach().numpy().tobytes() for tensor in tensors], opt.steps


CASES: dict[str, Callable[[], Objects]] = {
    "Lookahead between": lambda: made(lambda opt: fronts.Lookahead(opt, k=2), 2),
    "Lookahead at a k-th step": lambda: made(lambda opt: fronts.Lookahead(opt, k=2), 3),
    "SAM": lambda: made(lambda opt: fronts.SAM(opt, rho=0.3), 1),
    "ASAM": lambda: made(lambda opt: fronts.ASAM(opt, rho=0.3), 1),
}


@pytest.mark.parametrize("case", CASES)
def test_an_interrupt_leaves_a_wrapper_as_before_or_as_after(case: str) -> None:
    make = CASES[case]
    expected = []
    for done in (False, True):
        objects = make()
        if done:
            act(objects)
        now = plain(objects)
        act(objects)
        act(objects)
        expected.append((now, plain(objects)))
    interrupted(act, make(), -1)  # CPython 3.12 traces opcodes from the second time on
    point = 1
    while interrupted(act, objects := make(), point):
        now = plain(objects)
        assert now in (expected[0][0], expected[1][0]), point
        act(objects)
        act(objects)
        assert (now, plain(objects)) in expected, point
        point += 1
    assert point > 5
