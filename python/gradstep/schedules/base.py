"""What a schedule is, and how schedules are put together."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from gradstep.values import check_count, check_finite, check_metric

Function = Callable[[int], float]


class Schedule:
    """A callable ``step -> value``: scaled with ``*``, limited, or stretched to epochs."""

    __array_ufunc__ = None  # NumPy's numbers leave a product to __rmul__

    def __call__(self, step: int) -> float:
        raise NotImplementedError

    def __mul__(self, other: float | Function) -> Schedule:
        return Product(self, other)

    __rmul__ = __mul__

    def clamp(self, low: float = -math.inf, high: float = math.inf) -> Schedule:
        """The same schedule, limited to [low, high]."""
        return Clamped(self, low, high)

    def per_epoch(self, steps: int) -> Schedule:
        """The same schedule as a function of completed epochs of so many `steps`."""
        return PerEpoch(self, steps)


def as_tuple(name: str, values: Any, of: str) -> tuple[Any, ...]:
    try:
        return tuple(values)
    except TypeError:
        raise TypeError(f"{name} must be a sequence of {of}, got {values!r}") from None


def check_ascending(name: str, steps: Any) -> tuple[int, ...]:
    """`steps` as a tuple of ascending step numbers, each at least 1."""
    checked = tuple(check_count(f"each of {name}", s) for s in as_tuple(name, steps, "integers"))
    if any(a >= b for a, b in pairwise(checked)):
        raise ValueError(f"{name} must ascend, got {list(checked)}")
    return checked


def hold(schedule: Schedule, **values: Any) -> None:
    """Set attributes of a frozen dataclass, while it is made."""
    for name, value in values.items():
        object.__setattr__(schedule, name, value)


def hold_counts(schedule: Schedule, *names: str, least: int = 1) -> None:
    hold(schedule, **{name: check_count(name, getattr(schedule, name), least) for name in names})


def hold_numbers(
    schedule: Schedule, *names: str, low: float = -math.inf, above_low: bool = False
) -> None:
    for name in names:
        value = check_finite(name, getattr(schedule, name), low, above_low)
        hold(schedule, **{name: value})


@dataclass(frozen=True)
class Product(Schedule):
    left: Function
    right: float | Function

    def __post_init__(self) -> None:
        if not callable(self.right):
            hold(self, right=check_finite("the factor of a schedule", self.right))

    def __call__(self, step: int) -> float:
        right = self.right
        return self.left(step) * (right(step) if callable(right) else right)

    def __repr__(self) -> str:
        right = f"({self.right!r})" if isinstance(self.right, Product) else repr(self.right)
        return f"{self.left!r} * {right}"


@dataclass(frozen=True)
class Clamped(Schedule):
    schedule: Function
    low: float
    high: float

    def __post_init__(self) -> None:
        hold(self, low=check_metric("low", self.low), high=check_metric("high", self.high))
        if self.low > self.high:
            raise ValueError(f"low must not exceed high, got {self.low!r} and {self.high!r}")

    def __call__(self, step: int) -> float:
        return min(max(self.schedule(step), self.low), self.high)

    def __repr__(self) -> str:
        limits = [f"low={self.low!r}"] if self.low > -math.inf else []
        limits += [f"high={self.high!r}"] if self.high < math.inf else []
        return f"({self.schedule!r}).clamp({', '.join(limits)})"


@dataclass(frozen=True)
class PerEpoch(Schedule):
    schedule: Function
    steps: int

    def __post_init__(self) -> None:
        hold_counts(self, "steps")

    def __call__(self, step: int) -> float:
        return self.schedule(step // self.steps)

    def __repr__(self) -> str:
        return f"({self.schedule!r}).per_epoch(steps={self.steps!r})"


@dataclass(frozen=True)
class constant(Schedule):
    """The same value at every step.

    >>> constant(0.1)(1000)
    0.1
    """

    value: float

    def __post_init__(self) -> None:
        hold_numbers(self, "value")

    def __call__(self, step: int) -> float:
        return self.value


@dataclass(frozen=True)
class join(Schedule):
    """One schedule after another; each counts its own steps from 0.

    Parameters
    ----------
    schedules : sequence of callables
        At least one.
    at : sequence of int
        The steps at which the second, third, … begins: one fewer than schedules, ascending.

    >>> join([constant(1.0), constant(0.1)], at=[10])(10)
    0.1
    """

    schedules: Sequence[Function]
    at: Sequence[int]

    def __post_init__(self) -> None:
        schedules = as_tuple("schedules", self.schedules, "schedules")
        for schedule in schedules:
            if not callable(schedule):
                raise TypeError(
                    "each of schedules must be a schedule or another function of the step, got "
                    f"{schedule!r}; a number that stays is schedules.constant(number)"
                )
        hold(self, schedules=schedules, at=check_ascending("at", self.at))
        if len(self.schedules) != len(self.at) + 1:
            raise ValueError(
                f"at must have one step fewer than there are schedules ({len(self.schedules)}), "
                f"got {len(self.at)}"
            )

    def __call__(self, step: int) -> float:
        i = bisect_right(self.at, step)
        return self.schedules[i](step - (self.at[i - 1] if i else 0))


@dataclass(frozen=True)
class piecewise(Schedule):
    """Constant values between boundaries.

    Parameters
    ----------
    boundaries : sequence of int
        The steps at which the next value begins, ascending.
    values : sequence of float
        One more than boundaries.

    >>> lr = piecewise([10, 20], [0.1, 0.01, 0.001])
    >>> lr(9), lr(10), lr(1000)
    (0.1, 0.01, 0.001)
    """

    boundaries: Sequence[int]
    values: Sequence[float]

    def __post_init__(self) -> None:
        values = as_tuple("values", self.values, "numbers")
        hold(
            self,
            boundaries=check_ascending("boundaries", self.boundaries),
            values=tuple(check_finite("each of values", value) for value in values),
        )
        if len(self.values) != len(self.boundaries) + 1:
            raise ValueError(
                f"values must be one more than boundaries ({len(self.boundaries)}), "
                f"got {len(self.values)}"
            )

    def __call__(self, step: int) -> float:
        return self.values[bisect_right(self.boundaries, step)]
