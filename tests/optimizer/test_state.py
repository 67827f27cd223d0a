"""state_dict and load_state_dict: continuing bit for bit, and refusing what does not fit."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from tests.helpers import assert_same_bits, awkward_params, everything, gradients, put
from tests.specs import CASE_IDS, CASES


@pytest.mark.parametrize("case", range(len(CASES)), ids=CASE_IDS)
def test_resuming_continues_bit_for_bit(case: int) -> None:
    """Trained through; or saved, loaded on the NumPy backend and trained on: no difference."""
    spec, variant = CASES[case]
    options = spec.allowed({**variant.options, "ema_decay": 0.9})
    straight = awkward_params("float32")
    opt = spec.cls(straight, **options)
    for step in range(3):
        opt.step(gradients(straight, step))
    saved = opt.state_dict()
    resumed = {name: p.copy(order="K") for name, p in straight.items()}
    for step in range(3, 6):
        opt.step(gradients(straight, step))

    with gs.runtime.set_backend("numpy"):
        other = spec.cls(resumed, **options)
        other.load_state_dict(saved)
        for step in range(3, 6):
            other.step(gradients(resumed, step))
        assert_same_bits(everything(other), everything(opt))


def test_a_state_dict_is_a_snapshot() -> None:
    opt = gs.Adam(np.ones(3), lr=0.1)
    opt.step(np.ones(3))
    saved = opt.state_dict()
    kept = copy.deepcopy(saved)
    opt.step(np.ones(3))
    np.testing.assert_equal(saved, kept)


def test_loading_restores_counts_hyperparameters_and_live_arrays() -> None:
    params = {"w": np.ones(3), "b": np.ones(2)}
    opt = gs.Adam(params, lr=0.1)
    opt.step({"w": np.ones(3), "b": None})
    opt.lr = 0.05
    saved = opt.state_dict()
    assert saved["steps"] == 1
    assert [saved["state"][name]["step"] for name in "wb"] == [1, 0]

    other = gs.Adam({"w": np.ones(3), "b": np.ones(2)}, lr=0.1)
    live = other.state["w"]["exp_avg"]
    other.load_state_dict(saved)
    assert other.lr == 0.05
    assert other.steps == 1
    assert other.state["w"]["exp_avg"] is live
    np.testing.assert_array_equal(live, opt.state["w"]["exp_avg"])


def test_schedules_stay_those_of_the_loading_optimizer() -> None:
    opt = gs.SGD(np.ones(3), lr=0.1, momentum=0.9)
    saved = opt.state_dict()
    schedule = gs.schedules.linear_warmup(3)
    other = gs.SGD(np.ones(3), lr=schedule, momentum=0.5)
    other.load_state_dict(saved)
    assert other.lr is schedule
    assert other.momentum == 0.9
    assert "lr" not in other.state_dict()["groups"][0]


def test_a_schedule_that_does_not_reach_as_far_changes_nothing() -> None:
    opt = gs.SGD(np.ones(3), lr=0.1, momentum=0.9)
    for _ in range(3):
        opt.step(np.ones(3))
    other = gs.SGD(np.ones(3), lr=lambda step: 0.1 if step < 2 else -1.0, momentum=0.5)
    other.step(np.ones(3))
    before = everything(other)
    with pytest.raises(ValueError, match=r"lr must be .* from its schedule at step 3"):
        other.load_state_dict(opt.state_dict())
    assert_same_bits(everything(other), before)
    assert (other.steps, other.momentum) == (1, 0.5)


def test_state_that_is_not_in_the_dict_is_gone() -> None:
    """Momentum that is switched on later starts as it would have without the load."""
    plain = gs.SGD(np.ones(3), lr=0.1)
    other = gs.SGD(np.ones(3), lr=0.1, momentum=0.9)
    other.step(np.ones(3))
    other.load_state_dict(plain.state_dict())
    other.momentum = 0.9
    np.testing.assert_array_equal(other.state["0"]["momentum_buffer"], np.zeros(3))


BAD: dict[str, tuple[Callable[[dict[str, Any], Any], None], Any, type[Exception], str]] = {
    "no format": (put("format"), KeyError, ValueError, "has no entry 'format'"),
    "future format": (put("format"), 99, ValueError, "has format 99; this version reads"),
    "other kind": (put("optimizer"), "SGD", ValueError, "is of 'SGD', but this is 'AdamW'"),
    "negative steps": (put("steps"), -1, ValueError, "steps in state_dict must be ≥ 0"),
    "text steps": (put("steps"), "1", TypeError, "steps in state_dict must be an integer"),
    "no state": (put("state", "w"), KeyError, ValueError, r"\['state'\] must hold exactly"),
    "other name": (put("state", "c"), {}, ValueError, r"\['state'\] must hold exactly"),
    "no slot": (
        put("state", "w", "exp_avg"),
        KeyError,
        ValueError,
        r"\['w'\] must hold .*exp_avg",
    ),
    "shape": (
        put("state", "w", "exp_avg"),
        np.zeros(4),
        ValueError,
        r"state\['w'\]\['exp_avg'\] .* has shape \(4,\).*expected \(3,\)",
    ),
    "dtype": (put("state", "w", "exp_avg"), np.zeros(3, "f"), ValueError, "dtype float32; expec"),
    "list": (put("state", "w", "exp_avg"), [0.0] * 3, TypeError, "must be an ndarray, got a list"),
    "odd slot": (put("state", "w", "x"), np.zeros(3), ValueError, "is no state of an optimizer"),
    "true steps": (put("steps"), True, TypeError, "steps in state_dict must be an integer"),
    "huge steps": (put("steps"), 2**53, ValueError, r"steps in state_dict must be < 2\*\*53"),
    "text names": (put("groups", 0, "params"), "wb", ValueError, "must hold the parameters"),
    "count": (put("state", "w", "step"), -3, ValueError, r"\['step'\] in state_dict must be ≥ 0"),
    "no groups": (put("groups"), [], ValueError, r"\['groups'\] must be a list of 1 groups"),
    "group names": (put("groups", 0, "params"), ["x"], ValueError, "must hold the parameters"),
    "bad lr": (put("groups", 0, "lr"), -1.0, ValueError, "lr must be"),
    "odd option": (put("groups", 0, "momentum"), 0.9, ValueError, "that this optimizer has not"),
    "no ema": (put("ema"), {}, ValueError, r"\['ema'\] must hold exactly the parameters"),
    "ema shape": (put("ema", "w"), np.zeros(4), ValueError, r"ema\['w'\] .* has shape \(4,\)"),
}


def test_what_was_switched_on_is_in_the_state_before_a_step() -> None:
    opt = gs.SGD(np.ones(3), lr=0.1)
    opt.momentum, opt.ema_decay = 0.9, 0.5
    saved = opt.state_dict()
    np.testing.assert_array_equal(saved["state"]["0"]["momentum_buffer"], np.zeros(3))
    np.testing.assert_array_equal(saved["ema"]["0"], np.ones(3))
    other = gs.SGD(np.ones(3), lr=0.1)
    other.momentum, other.ema_decay = 0.9, 0.5
    other.load_state_dict(saved)
    for each in (opt, other):
        each.step(np.ones(3))
    assert_same_bits(everything(other), everything(opt))


@pytest.mark.parametrize("case", BAD)
def test_a_state_that_does_not_fit_changes_nothing(case: str) -> None:
    change, value, error, text = BAD[case]
    params = {"w": np.ones(3), "b": np.ones(2)}
    opt = gs.AdamW(params, ema_decay=0.9)
    opt.step({"w": np.ones(3), "b": np.ones(2)})
    bad = opt.state_dict()
    opt.step({"w": np.ones(3), "b": np.ones(2)})
    change(bad, value)
    before, settings = everything(opt), repr(opt)
    with pytest.raises(error, match=text):
        opt.load_state_dict(bad)
    assert_same_bits(everything(opt), before)
    assert (opt.steps, repr(opt)) == (2, settings)
    opt.step({"w": np.ones(3), "b": np.ones(2)})


def test_what_is_no_state_dict_is_refused() -> None:
    with pytest.raises(TypeError, match="state_dict must be a dict, got a list"):
        gs.SGD(np.ones(1), lr=0.1).load_state_dict([])  # type: ignore[arg-type]


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("name", ["lr", "betas", "weight_decay", "l1", "clip_value", "ema_decay"])
def test_a_schedule_steps_as_numbers_set_before_each_step_do(name: str) -> None:
    numbers = [0.3, 0.1, 0.2, 0.1]

    def value(number: float) -> Any:
        return (number, 0.9) if name == "betas" else number

    def scheduled(step: int) -> float:
        return numbers[step]

    options: dict[str, Any] = {"lr": 0.1, "weight_decay": 0.1, "l1": 0.1, "ema_decay": 0.5}
    first, second = (awkward_params("float64") for _ in range(2))
    set_before = gs.AdamW(first, **options | {name: value(numbers[0])})
    opt = gs.AdamW(second, **options | {name: (scheduled, 0.9) if name == "betas" else scheduled})
    for step, number in enumerate(numbers):
        set_before.groups[0][name] = value(number)
        for each in (set_before, opt):
            each.step(gradients(first, step))
    assert_same_bits(everything(opt), everything(set_before))


@pytest.mark.parametrize("size", [16 * 1024, 64 * 1024, 10**6])
def test_state_of_larger_parameters_lies_at_a_fixed_distance_within_a_page(size: int) -> None:
    for lead in (0, 24, 1000):  # elements before the parameter
        param = np.zeros(lead + size // 4, np.float32)[lead:]
        state = gs.AdamW(param).state["0"]
        distances = [(s.ctypes.data - param.ctypes.data) % 4096 for s in state.values()]
        assert distances == [1024, 2048]
