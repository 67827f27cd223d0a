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


class Slotted(gs.SGD):
    __slots__ = ("note",)


class Own(np.ndarray):
    """Of NumPy's subclasses one."""


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


@pytest.mark.parametrize("way", WAYS, ids=["deepcopy", "pickle"])
def test_what_a_subclass_has_in_slots_is_kept(way: Callable[[Any], Any]) -> None:
    opt = Slotted(np.ones(2), lr=0.1)
    opt.note = ["mine"]
    assert way(opt).note == ["mine"]
    assert not hasattr(way(Slotted(np.ones(2), lr=0.1)), "note")


@pytest.mark.parametrize("way", WAYS, ids=["deepcopy", "pickle"])
def test_a_copy_trains_the_arrays_that_were_copied_with_it(way: Callable[[Any], Any]) -> None:
    params = {"plain": np.ones(2), "own": np.ones(3).view(Own)}
    also, twin = way((params, gs.SGD(params, lr=0.5)))
    twin.check(also)
    twin.step({"plain": np.ones(2), "own": np.ones(3)})
    assert also["own"][0] == 0.5
    assert params["own"][0] == 1.0


def test_no_step_is_taken_while_a_copy_is_made() -> None:
    class Stepping(np.ndarray):
        def __deepcopy__(self, memo: dict[int, Any]) -> Any:
            with pytest.raises(RuntimeError, match=r"busy with copy\.deepcopy\(\); step again"):
                opt.step(np.ones(3))
            return self.copy()

    opt = gs.SGD(np.ones(3).view(Stepping), lr=0.5)
    twin = copy.deepcopy(opt)
    np.testing.assert_array_equal(twin.params["0"], 1.0)


@pytest.mark.parametrize("way", WAYS, ids=["deepcopy", "pickle"])
def test_sums_scalers_and_kept_parameters_are_copied(way: Callable[[Any], Any]) -> None:
    total, scaler, stopping = gs.GradientSum(), gs.LossScaler(8.0), gs.EarlyStopping()
    total.add([np.ones(2)])
    stopping.update(0.5, [np.ones(2)])
    twins = way((total, scaler, stopping))
    assert list(map(repr, twins)) == list(map(repr, (total, scaler, stopping)))
    twins[0].add([np.ones(2)])
    assert (total.count, total.grads[0][0], twins[0].grads[0][0]) == (1, 1.0, 2.0)
    params = [np.zeros(2)]
    twins[2].restore(params)
    np.testing.assert_array_equal(params[0], 1.0)


def test_shallow_copies_are_refused() -> None:
    with pytest.raises(TypeError, match=r"use copy.deepcopy\(opt\)"):
        copy.copy(make())
    with pytest.raises(TypeError, match=r"use copy.deepcopy\(total\)"):
        copy.copy(gs.GradientSum())
