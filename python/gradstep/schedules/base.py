"""What a schedule is, and how schedules are put together."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, overload

import numpy as np
from numpy.typing import NDArray

from gradstep.values import check_count, check_finite, check_metric, shown

Function = Callable[[int], float]
Steps = NDArray[Any] | Sequence[int]


class Schedule:
    """A callable ``step -> value``: scaled and added with ``*``, ``/`` and ``+``, limited, or
    stretched to epochs. A subclass defines :meth:`value_at`.

    >>> import numpy as np
    >>> (piecewise([1], [1.0, 0.5]) + 1)(np.arange(3))
    array([2. , 1.5, 1.5])
    """

    __array_ufunc__ = None  # NumPy's numbers leave a product to __rmul__
    _calls: tuple[Function, ...]  # those of a schedule that is made of others, for single steps

    def value_at(self, step: int) -> float:
        """The value for the step after `step` completed ones."""
        raise NotImplementedError

    @overload
    def __call__(self, step: Steps) -> NDArray[np.float64]: ...

    @overload
    def __call__(self, step: int) -> float: ...

    def __call__(self, step: int | Steps) -> float | NDArray[np.float64]:
        if isinstance(step, (np.ndarray, Sequence)):
            steps = np.asarray(step)
            values = [self.value_at(each) for each in steps.ravel().tolist()]
            return np.array(values, np.float64).reshape(steps.shape)
        return self.value_at(step)

    def __mul__(self, other: float | Function) -> Schedule:
        return Product(self, other)

    __rmul__ = __mul__

    def __add__(self, other: float | Function) -> Schedule:
        return Sum(self, other)

    __radd__ = __add__

    def __truediv__(self, other: float | Function) -> Schedule:
        return Quotient(self, other)

    def clamp(self, low: float = -math.inf, high: float = math.inf) -> Schedule:
        """The same schedule, limited to [low, high]."""
        return Clamped(self, low, high)

    def per_epoch(self, steps: int) -> Schedule:
        """The same schedule as a function of completed epochs of so many `steps`."""
        return PerEpoch(self, steps)


def function_of(value: Any) -> Any:
    """What a value is at a single step as a function, without a schedule's look at arrays."""
    if isinstance(value, Schedule) and type(value).__call__ is Schedule.__call__:
        return value.value_at
    return value


def as_tuple(name: str, values: Any, of: str) -> tuple[Any, ...]:
    try:
        return tuple(values)
    except TypeError:
        raise TypeError(f"{name} must be a sequence of {of}, got {shown(values)}") from None


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
class Combination(Schedule):
    """Of a schedule with a number or another."""

    left: Function
    right: float | Function

    sign: ClassVar[str]
    role: ClassVar[str]

    def __post_init__(self) -> None:
        if not callable(self.right):
            hold(self, right=check_finite(f"{self.role} a schedule", self.right))
        hold(self, _calls=(function_of(self.left), function_of(self.right)))

    def __repr__(self) -> str:
        parts = [repr(self.left), repr(self.right)]
        if isinstance(self.left, Sum) and not isinstance(self, Sum):
            parts[0] = f"({parts[0]})"
        if isinstance(self.right, Combination):
            parts[1] = f"({parts[1]})"
        return f" {self.sign} ".join(parts)


@dataclass(frozen=True, repr=False)
class Product(Combination):
    sign, role = "*", "the factor of"

    def value_at(self, step: int) -> float:
        left, right = self._calls
        return left(step) * (right(step) if callable(right) else right)


@dataclass(frozen=True, repr=False)
class Sum(Combination):
    sign, role = "+", "what is added to"

    def value_at(self, step: int) -> float:
        left, right = self._calls
        return left(step) + (right(step) if callable(right) else right)


@dataclass(frozen=True, repr=False)
class Quotient(Combination):
    sign, role = "/", "the divisor of"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.right == 0:
            raise ValueError(f"the divisor of a schedule must not be 0, got {self.right!r}")

    def value_at(self, step: int) -> float:
        left, right = self._calls
        return left(step) / (right(step) if callable(right) else right)


@dataclass(frozen=True)
class Clamped(Schedule):
    schedule: Function
    low: float
    high: float

    def __post_init__(self) -> None:
        hold(self, low=check_metric("low", self.low), high=check_metric("high", self.high))
        hold(self, _calls=(function_of(self.schedule),))
        if self.low > self.high:
            raise ValueError(f"low must not exceed high, got {self.low!r} and {self.high!r}")

    def value_at(self, step: int) -> float:
        return min(max(self._calls[0](step), self.low), self.high)

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
        hold(self, _calls=(function_of(self.schedule),))

    def value_at(self, step: int) -> float:
        return self._calls[0](step // self.steps)

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

    def value_at(self, step: int) -> float:
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

    Examples
    --------
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
        hold(self, _calls=tuple(map(function_of, schedules)))
        if len(self.schedules) != len(self.at) + 1:
            raise ValueError(
                f"at must have one step fewer than there are schedules ({len(self.schedules)}), "
                f"got {len(self.at)}"
            )

    def value_at(self, step: int) -> float:
        i = bisect_right(self.at, step)
        return self._calls[i](step - (self.at[i - 1] if i else 0))


@dataclass(frozen=True)
class piecewise(Schedule):
    """Constant values between boundaries.

    Parameters
    ----------
    boundaries : sequence of int
        The steps at which the next value begins, ascending.
    values : sequence of float
        One more than boundaries.

    Examples
    --------
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

    def value_at(self, step: int) -> float:
        return self.values[bisect_right(self.boundaries, step)]
