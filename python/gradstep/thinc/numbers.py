"""The numbers of a step, of either version of Thinc."""

from __future__ import annotations

from typing import Any

from thinc import schedules

NAMES = "learn_rate", "b1", "b2", "eps", "L2", "grad_clip"
Numbers = tuple[float, float, float, float, float, float]


def attributes(opt: Any, key: object) -> Numbers:
    """Up to Thinc 8.3 attributes are numbers, which ``step_schedules`` sets."""
    return opt.learn_rate, opt.b1, opt.b2, opt.eps, opt.L2, opt.grad_clip


def evaluated(opt: Any, key: object) -> Numbers:
    """From Thinc 9 on they are schedules, of the step, the key and the last score."""
    step, known = opt._step, {"key": key, "last_score": opt._last_score}
    all_of = opt.learn_rate, opt.b1, opt.b2, opt.eps, opt.L2, opt.grad_clip
    try:
        rate, b1, b2, eps, l2, clip = [
            schedule._attrs["rate"] if schedule._schedule is CONSTANT else schedule(step, **known)
            for schedule in all_of
        ]
    except AttributeError:
        for name, value in zip(NAMES, all_of, strict=True):
            if not isinstance(value, schedules.Schedule):
                raise TypeError(
                    f"{name} must be a schedule of Thinc's, got {value!r}; set "
                    f"thinc.schedules.constant({value!r})"
                ) from None
        raise
    return rate, b1, b2, eps, l2, clip


if hasattr(schedules, "Schedule"):
    CONSTANT = schedules.constant(0.0)._schedule
    numbers = evaluated
else:
    numbers = attributes
