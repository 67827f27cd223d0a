"""Hyperparameters: declared once, with default, range and a line of doc, and checked when set.

>>> from gradstep.method.hyperparameters import Number
>>> lr = Number(1e-3, "Step size.")
>>> lr.name = "lr"
>>> lr.check(-1.0)
Traceback (most recent call last):
    ...
ValueError: lr must be a finite number ≥ 0 or a schedule (of the completed steps), got -1.0
"""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import copy
from typing import Any

import numpy as np

from gradstep.values import as_float, check_axis, check_count, is_number, reads_as_float, shown

Schedule = Callable[[int], float]
Scalar = float | Schedule


class Unset:
    """In the place of a default that a declaration leaves to its base's, or that there is none."""

    def __repr__(self) -> str:
        return "..."


UNSET = Unset()


class Hyperparameter:
    """A named, checked value."""

    name: str

    def __init__(self, default: Any = UNSET, doc: str = "") -> None:
        self.default = default
        self.doc = doc

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def over(self, base: Hyperparameter | None) -> Hyperparameter:
        """This declaration in the place of `base`, whose default and doc hold where it has none."""
        if base is None or (self.default is not UNSET and self.doc):
            return self
        whole = copy(self)
        whole.default = base.default if self.default is UNSET else self.default
        whole.doc = self.doc or base.doc
        return whole

    @property
    def annotation(self) -> str:
        """The type of what users give, for signatures and stubs."""
        raise NotImplementedError

    @property
    def form(self) -> str:
        """What users give, in the words of a docstring."""
        raise NotImplementedError

    def check(self, value: Any) -> Any:
        """`value` in the form in which it is stored, or an error that says what is expected."""
        raise NotImplementedError

    def varies(self, value: Any) -> bool:
        """Whether the value changes by itself from step to step."""
        return False

    def at(self, value: Any, step: int) -> Any:
        """What a value that varies is for the step after `step` completed ones."""
        raise NotImplementedError

    def __repr__(self) -> str:
        default = "" if self.default is UNSET else f"; default {self.default!r}"
        return f"<{self.form}{default}>"

    def refuse(self, expected: str, value: Any, kind: type[Exception] = ValueError) -> Exception:
        return kind(f"{self.name} must be {expected}, got {shown(value)}")


class Number(Hyperparameter):
    """A finite number within a range, or a schedule of such numbers."""

    def __init__(
        self,
        default: Any = UNSET,
        doc: str = "",
        *,
        low: float = 0.0,
        high: float = math.inf,
        above_low: bool = False,  # low itself is excluded
        with_high: bool = False,  # high itself is allowed
        optional: bool = False,  # may be None
    ) -> None:
        super().__init__(default, doc)
        self.low, self.high = low, high
        self.above_low, self.with_high, self.optional = above_low, with_high, optional

    @property
    def bounds(self) -> str:
        if self.high == math.inf:
            return f"{'>' if self.above_low else '≥'} {self.low:g}"
        bounds = f"in {'(' if self.above_low else '['}{self.low:g}, {self.high:g}"
        return bounds + ("]" if self.with_high else ")")

    @property
    def expected(self) -> str:
        number = f"a {'finite ' if self.high == math.inf else ''}number {self.bounds}"
        none = "None, " if self.optional else ""
        return f"{none}{number} or a schedule (of the completed steps)"

    @property
    def annotation(self) -> str:
        return "Scalar | None" if self.optional else "Scalar"

    @property
    def form(self) -> str:
        return f"float or schedule, {self.bounds}{', or None' if self.optional else ''}"

    def check(self, value: Any) -> float | Schedule | None:
        if value is None and self.optional:
            return None
        if isinstance(value, type):
            raise TypeError(
                f"{self.name} must be {self.expected}, got the class {value.__name__}; "
                f"call it, {value.__name__}(...), and give what it makes"
            )
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
            hint = f"; convert it: float({self.name})" if reads_as_float(value) else ""
            if step is not None:
                hint = f" from its schedule at step {step}" + (hint and "; convert it to a float")
                hint += "; does it return a number?" if value is None else ""
            raise TypeError(f"{self.name} must be {self.expected}, got {shown(value)}{hint}")
        number = as_float(value)
        too_low = number <= self.low if self.above_low else number < self.low
        too_high = number > self.high if self.with_high else number >= self.high
        if not math.isfinite(number) or too_low or too_high:
            origin = "" if step is None else f" from its schedule at step {step}"
            raise ValueError(f"{self.name} must be {self.expected}, got {number!r}{origin}")
        return number


class Numbers(Hyperparameter):
    """A fixed number of numbers, like betas; each may be a schedule of its own."""

    def __init__(
        self, default: Any = UNSET, doc: str = "", *, each: tuple[Number, ...] = ()
    ) -> None:
        super().__init__(default, doc)
        self.each = each

    def __set_name__(self, owner: type, name: str) -> None:
        super().__set_name__(owner, name)
        for i, part in enumerate(self.each):
            part.name = f"{name}[{i}]"

    @property
    def annotation(self) -> str:
        return f"tuple[{', '.join(part.annotation for part in self.each)}]"

    @property
    def form(self) -> str:
        count = len(self.each)
        bounds = [part.bounds for part in self.each]
        if len(set(bounds)) == 1:
            return f"{count} floats or schedules, each {bounds[0]}"
        return f"{count} floats or schedules, {' and '.join(bounds)}"

    def check(self, value: Any) -> tuple[Any, ...]:
        if not isinstance(value, (tuple, list)) or len(value) != len(self.each):
            raise self.refuse(f"a tuple of {len(self.each)} numbers", value, TypeError)
        return tuple(part.check(v) for part, v in zip(self.each, value, strict=True))

    def at(self, value: Any, step: int) -> tuple[float, ...]:
        parts = zip(self.each, value, strict=True)
        return tuple(part.at(v, step) if callable(v) else v for part, v in parts)

    def varies(self, value: Any) -> bool:
        return any(callable(v) for v in value)


def decays(default: tuple[float, ...], doc: str) -> Numbers:
    """As many decays as the default has, each in [0, 1)."""
    return Numbers(default, doc, each=tuple(Number(high=1.0) for _ in default))


class Flag(Hyperparameter):
    """True or False."""

    annotation = "bool"
    form = "bool"

    def check(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise self.refuse("True or False", value, TypeError)
        return value


class Choice(Hyperparameter):
    """One of a few names, or None where that is the default."""

    def __init__(self, default: Any = UNSET, doc: str = "", *, among: tuple[str, ...] = ()) -> None:
        super().__init__(default, doc)
        self.among = among

    @property
    def annotation(self) -> str:
        return "str | None" if self.default is None else "str"

    @property
    def form(self) -> str:
        none = ["None"] if self.default is None else []
        forms = none + [f'"{name}"' for name in self.among]
        return f"{', '.join(forms[:-1])} or {forms[-1]}"

    def check(self, value: Any) -> str | None:
        if value is None and self.default is None:
            return None
        if not isinstance(value, str):
            raise self.refuse(self.form, value, TypeError)
        if value not in self.among:
            raise self.refuse(self.form, value)
        return value


class Count(Hyperparameter):
    """A whole number within a range."""

    annotation = "int"

    def __init__(
        self, default: Any = UNSET, doc: str = "", *, low: int = 0, high: int | None = None
    ) -> None:
        super().__init__(default, doc)
        self.low, self.high = low, high

    @property
    def form(self) -> str:
        return f"int ≥ {self.low}" if self.high is None else f"int in [{self.low}, {self.high})"

    def check(self, value: Any) -> int:
        if self.high is None:
            return check_count(self.name, value, self.low)
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
            raise self.refuse(f"an {self.form}", value, TypeError)
        if not self.low <= value < self.high:
            raise self.refuse(f"an {self.form}", value)
        return int(value)


class Seed(Hyperparameter):
    """A whole number that random numbers begin from."""

    annotation = "int"
    form = "int in [0, 2**63)"

    def check(self, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
            raise self.refuse("an int in [0, 2**63)", value, TypeError)
        if not 0 <= value < 2**63:
            raise self.refuse("an int in [0, 2**63)", value)
        return int(value)


class Axis(Hyperparameter):
    """The first axis of an array, or its last."""

    annotation = "int"
    form = "0 or -1"

    def check(self, value: Any) -> int:
        return check_axis(self.name, value)
