"""Hyperparameters: declared once per optimizer class, checked whenever they change.

A declaration names the range. It is also the attribute that users set:

>>> import numpy as np, gradstep as gs
>>> opt = gs.SGD([np.zeros(3)], lr=0.1)
>>> opt.lr = -1.0
Traceback (most recent call last):
    ...
ValueError: lr must be a finite number ≥ 0 or a schedule (of the completed steps), got -1.0
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gradstep.values import as_float, is_number

Schedule = Callable[[int], float]
Scalar = float | Schedule


class Hyperparameter:
    """A named, checked value; on an optimizer, the value that all its groups share."""

    name: str

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        values = [group[self.name] for group in instance.groups]
        if any(value != values[0] for value in values[1:]):
            raise AttributeError(
                f"{self.name} differs between groups: {values}; "
                f"read opt.groups[i][{self.name!r}] instead"
            )
        return values[0]

    def __set__(self, instance: Any, value: Any) -> None:
        for group in instance.groups:
            group.changed({self.name: value})
        for group in instance.groups:
            group[self.name] = value

    def check(self, value: Any) -> Any:
        """`value` in the form in which it is stored, or an error that says what is expected."""
        raise NotImplementedError

    def varies(self, value: Any) -> bool:
        """Whether the value changes by itself from step to step."""
        return False

    def at(self, value: Any, step: int) -> Any:
        """What a value that varies is for the step after `step` completed ones."""
        raise NotImplementedError

    def refuse(self, expected: str, value: Any, kind: type[Exception] = ValueError) -> Exception:
        return kind(f"{self.name} must be {expected}, got {value!r}")


@dataclass
class Number(Hyperparameter):
    """A finite number within a range, or a schedule of such numbers."""

    low: float = 0.0
    high: float = math.inf
    above_low: bool = False  # low itself is excluded
    with_high: bool = False  # high itself is allowed
    optional: bool = False  # may be None

    @property
    def expected(self) -> str:
        if self.high == math.inf:
            number = f"a finite number {'>' if self.above_low else '≥'} {self.low:g}"
        else:
            number = f"a number in {'(' if self.above_low else '['}{self.low:g}, {self.high:g}"
            number += "]" if self.with_high else ")"
        none = "None, " if self.optional else ""
        return f"{none}{number} or a schedule (of the completed steps)"

    def check(self, value: Any) -> float | Schedule | None:
        if value is None and self.optional:
            return None
        return value if callable(value) else self._check_number(value)

    def at(self, value: Any, step: int) -> Any:
        number = value(step)
        if type(number) is float and self.low < number < self.high:
            return number
        return self._check_number(number, step)

    def varies(self, value: Any) -> bool:
        return callable(value)

    def _check_number(self, value: Any, step: int | None = None) -> float:
        if not is_number(value):
            raise self.refuse(self.expected, value, TypeError)
        number = as_float(value)
        too_low = number <= self.low if self.above_low else number < self.low
        too_high = number > self.high if self.with_high else number >= self.high
        if not math.isfinite(number) or too_low or too_high:
            origin = "" if step is None else f" from its schedule at step {step}"
            raise ValueError(f"{self.name} must be {self.expected}, got {number!r}{origin}")
        return number


@dataclass
class Numbers(Hyperparameter):
    """A fixed number of numbers, like betas; each may be a schedule of its own."""

    each: tuple[Number, ...]

    def __set_name__(self, owner: type, name: str) -> None:
        super().__set_name__(owner, name)
        for i, part in enumerate(self.each):
            part.name = f"{name}[{i}]"

    def check(self, value: Any) -> tuple[Any, ...]:
        if not isinstance(value, (tuple, list)) or len(value) != len(self.each):
            raise self.refuse(f"a tuple of {len(self.each)} numbers", value, TypeError)
        return tuple(part.check(v) for part, v in zip(self.each, value, strict=True))

    def at(self, value: Any, step: int) -> tuple[float, ...]:
        parts = zip(self.each, value, strict=True)
        return tuple(part.at(v, step) if callable(v) else v for part, v in parts)

    def varies(self, value: Any) -> bool:
        return any(callable(v) for v in value)


class Flag(Hyperparameter):
    """True or False."""

    def check(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise self.refuse("True or False", value, TypeError)
        return value
