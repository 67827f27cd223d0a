"""Schedules added, divided, and at many steps at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradstep as gs
from gradstep import schedules as s
from tests.schedules.test_schedules import ALL, values


@pytest.mark.parametrize("schedule", ALL, ids=repr)
def test_arrays_of_steps_give_arrays_of_values(schedule: s.Schedule) -> None:
    expected = values(schedule, 40)
    several = schedule(np.arange(40))
    assert several.dtype == np.float64
    np.testing.assert_array_equal(several, expected)
    np.testing.assert_array_equal(schedule(range(40)), expected)
    np.testing.assert_array_equal(schedule(np.arange(40).reshape(5, 8)).ravel(), expected)
    assert schedule([]).shape == (0,)


def test_schedules_are_added_and_divided() -> None:
    rise, fall = s.linear_warmup(4), s.exponential(0.5)
    assert values(rise + fall, 3) == [1.0, 0.75, 0.75]
    assert values(1 + rise, 3) == values(rise + np.float32(1), 3) == [1.0, 1.25, 1.5]
    assert values(rise / 2, 3) == [0.0, 0.125, 0.25]
    assert values((rise + 1) / (lambda step: 2.0), 2) == [0.5, 0.625]
    assert repr((rise + 1) * 2 / fall) == (
        "(linear_warmup(steps=4, start=0.0) + 1.0) * 2.0 / exponential(factor=0.5)"
    )
    with pytest.raises(ValueError, match="the divisor of a schedule must not be 0"):
        _ = rise / 0
    with pytest.raises(TypeError, match="what is added to a schedule must be a finite number"):
        _ = rise + "1"  # type: ignore[operator]


def test_a_schedule_of_ones_own_may_define_either() -> None:
    class ByCall(s.Schedule):
        def __call__(self, step: Any) -> Any:
            return 0.5**step

    class ByStep(s.Schedule):
        def value_at(self, step: int) -> float:
            return 0.5**step

    for own in (ByCall(), ByStep()):
        w = np.zeros(1)
        opt = gs.SGD(w, lr=own * 2, momentum=0.0)
        opt.step(np.ones(1))
        opt.step(np.ones(1))
        assert w[0] == -3.0
