"""Deep copies and pickles go on bit for bit, on arrays of their own."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from tests.helpers import Array, assert_same_bits, everything

pytestmark = pytest.mark.usefixtures("backend")

LR = gs.schedules.cosine_annealing(10) * 0.1
WAYS: list[Callable[[Any], Any]] = [copy.deepcopy, lambda opt: pickle.loads(pickle.dumps(opt))]


def make() -> gs.AdamW:
    params = {"W": np.asfortranarray(np.ones((2, 3), np.float32)), "b": np.zeros(3)}
    groups = [{"params": params}, {"params": [np.ones(2)], "weight_decay": 0.5}]
    opt = gs.AdamW(groups, lr=0.1, ema_decay=0.9)
    opt.step(grads(opt))
    opt.step([grads(opt)[0] | {"b": None}, [np.ones(2)]])
    opt.groups[1]["amsgrad"] = True
    return opt


def grads(opt: gs.Optimizer) -> list[Any]:
    by_name: dict[str, Array] = {name: opt.params[name] * 0.5 + 1 for name in ("W", "b")}
    return [by_name, [np.ones(2)]]


@pytest.mark.parametrize("way", WAYS, ids=["deepcopy", "pickle"])
def test_a_copy_goes_on_as_the_original_and_on_its_own(way: Callable[[Any], Any]) -> None:
    opt = make()
    twin = way(opt)
    assert type(twin) is gs.AdamW
    assert repr(twin) == repr(opt)
    assert [dict(group) for group in twin.groups] == [dict(group) for group in opt.groups]
    before = everything(opt)
    assert_same_bits(everything(twin), before)
    twin.step(grads(twin))
    assert_same_bits(everything(opt), before)
    opt.step(grads(opt))
    assert_same_bits(everything(twin), everything(opt))
    assert twin.state_dict()["state"]["b"]["step"] == 2
    opt.add_group({"params": {"new": np.ones(1)}})
    twin.add_group({"params": {"new": np.ones(1)}})


def test_a_deep_copy_has_the_same_schedules_and_the_parameters_that_were_copied_with_it() -> None:
    def lr(step: int) -> float:
        return 0.1 / (step + 1)

    params = {"w": np.ones(2)}
    opt = gs.SGD(params, lr=lr, momentum=LR)
    also, twin = copy.deepcopy((params, opt))
    assert twin.params["w"] is also["w"]
    assert twin.lr is lr
    assert twin.momentum is LR


def test_a_subclass_keeps_its_attributes() -> None:
    class Named(gs.SGD):
        name: Any = None

        def __init__(self, params: Any, name: str) -> None:
            super().__init__(params, lr=0.1)
            self.name = [name]

    opt = Named(np.ones(2), "first")
    twin = copy.deepcopy(opt)
    assert twin.name == ["first"]
    assert twin.name is not opt.name


def test_a_shallow_copy_is_refused() -> None:
    with pytest.raises(TypeError, match=r"use copy.deepcopy\(opt\)"):
        copy.copy(make())
