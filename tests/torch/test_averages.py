"""Averages swapped in, over memory that others may change; and what keeps an optimizer alive."""

from __future__ import annotations

import gc
import weakref
from contextlib import suppress
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install '.[torch]'")
fronts = pytest.importorskip("gradstep.torch")

pytestmark = pytest.mark.usefixtures("backend")


def stepped(*sizes: int) -> tuple[list[Any], Any]:
    params = [torch.nn.Parameter(torch.full((size,), float(size))) for size in sizes]
    opt = fronts.SGD(params, lr=1.0, ema_decay=0.5)
    for param in params:
        param.grad = torch.ones_like(param)
    opt.step()
    return params, opt


def test_a_parameter_that_moves_meanwhile_is_left_as_it_is() -> None:
    params, opt = stepped(4_000_000, 64, 3)
    kept = [param.detach().clone() for param in params]
    averages = [opt.ema[param].clone() for param in params]

    def evaluate() -> None:
        with opt.swap_averages():
            params[0].data = params[0].data.to(torch.bfloat16)
            params[1].data = params[1].data.clone()

    with pytest.raises(RuntimeError, match=r"\['0', '1'\] were given other memory"):
        evaluate()
    assert torch.equal(params[0], averages[0].bfloat16())
    assert torch.equal(params[1], averages[1])
    assert torch.equal(params[2], kept[2])


def test_a_graph_of_within_is_stale_afterwards() -> None:
    (param,), opt = stepped(3)
    with suppress(KeyError), opt.swap_averages():
        loss = (param * param).sum()
        raise KeyError
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_a_graph_over_a_copy_is_stale_after_a_step() -> None:
    param = torch.nn.Parameter(torch.ones(3))
    copy = torch.ones(3, dtype=torch.bfloat16, requires_grad=True)
    opt = fronts.SGD([param], lr=0.5, copies=[copy])
    loss = (copy * copy).sum()
    param.grad = torch.ones(3)
    opt.step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


class Trainer:
    def __init__(self) -> None:
        self.weight = torch.nn.Parameter(torch.ones(3))
        self.opt = fronts.AdamW([self.weight], lr=self.rate)
        self.weight.opt = self.opt
        self.weight.grad = torch.ones(3)
        self.opt.step()

    def rate(self, step: int) -> float:
        return 0.1


def test_a_cycle_through_an_optimizer_is_collected() -> None:
    gone = weakref.ref(Trainer())
    gc.collect()
    assert gone() is None


def test_a_schedule_may_move_memory() -> None:
    param = torch.nn.Parameter(torch.ones(100_000))
    copy = torch.zeros(100_000, dtype=torch.bfloat16)

    def rate(step: int) -> float:
        if not moved:
            moved.append(step)
            param.data, copy.data = param.data.clone(), copy.data.clone()
        return 0.5

    moved = [0]
    opt = fronts.SGD([param], lr=rate, copies=[copy], ema_decay=0.5)
    moved.clear()
    for _ in range(2):
        param.grad = torch.ones(100_000)
        opt.step()
    assert moved
    assert torch.equal(param, torch.zeros(100_000))
    assert torch.equal(copy, param.bfloat16())
    assert torch.equal(opt.ema[param], torch.full((100_000,), 0.375))
