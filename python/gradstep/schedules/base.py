"""What a schedule is, and how schedules are put together."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

Function = Callable[[int], float]


class Schedule:
    """A callable ``step -> value``: scaled with ``*``, limited, or stretched to epochs."""

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


def check_count(name: str, value: Any, least: int = 1) -> None:
    """Raise an error that names the parameter where it is not an integer ≥ `least`."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an integer ≥ {least}, got {value!r}")
    if value < least:
        raise ValueError(f"{name} must be an integer ≥ {least}, got {value!r}")


def check_finite(name: str, value: Any, low: float = -math.inf, above_low: bool = False) -> None:
    """Raise an error that names the parameter where it is not a finite number in its range."""
    expected = "a finite number"
    if low > -math.inf:
        expected += f" {'>' if above_low else '≥'} {low:g}"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be {expected}, got {value!r}")
    if not math.isfinite(value) or value < low or (above_low and value == low):
        raise ValueError(f"{name} must be {expected}, got {value!r}")


def check_metric(name: str, value: Any) -> None:
    """Raise an error that names the parameter where it is not a number, infinities included."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value):
        raise TypeError(f"{name} must be a number other than NaN, got {value!r}")


def check_ascending(name: str, steps: Any) -> tuple[int, ...]:
    """`steps` as a tuple of ascending step numbers, each at least 1."""
    checked = tuple(steps)
    for step in checked:
        check_count(f"each of {name}", step)
    if any(a >= b for a, b in pairwise(checked)):
        raise ValueError(f"{name} must ascend, got {list(checked)}")
    return checked


@dataclass(frozen=True)
class Product(Schedule):
    left: Function
    right: float | Function

    def __post_init__(self) -> None:
        if not callable(self.right):
            check_finite("the factor of a schedule", self.right)

    def __call__(self, step: int) -> float:
        right = self.right
        return self.left(step) * (right(step) if callable(right) else right)

    def __repr__(self) -> str:
        return f"{self.left!r} * {self.right!r}"


@dataclass(frozen=True)
class Clamped(Schedule):
    schedule: Function
    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low <= self.high:
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
        check_count("steps", self.steps)

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
        check_finite("value", self.value)

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
        object.__setattr__(self, "schedules", tuple(self.schedules))
        object.__setattr__(self, "at", check_ascending("at", self.at))
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
        object.__setattr__(self, "boundaries", check_ascending("boundaries", self.boundaries))
        object.__setattr__(self, "values", tuple(self.values))
        for value in self.values:
            check_finite("each of values", value)
        if len(self.values) != len(self.boundaries) + 1:
            raise ValueError(
                f"values must be one more than boundaries ({len(self.boundaries)}), "
                f"got {len(self.values)}"
            )

    def __call__(self, step: int) -> float:
        return self.values[bisect_right(self.boundaries, step)]
