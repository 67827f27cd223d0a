"""Real numbers, whoever's they are, as floats."""

from __future__ import annotations

import math
import numbers
from typing import Any


def is_number(value: Any) -> bool:
    """Whether `value` is a real number: Python's, NumPy's, or a 0-d array of one."""
    if isinstance(value, numbers.Real):
        return not isinstance(value, bool)
    if getattr(value, "shape", None) != ():
        return False
    return getattr(value.dtype, "kind", None) in ("f", "i", "u")


def as_float(number: Any) -> float:
    """`number` as a float, infinite where it is beyond all of them."""
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def power(base: float, exponent: float) -> float:
    """``base^exponent`` of numbers ≥ 0, infinite where floats end."""
    try:
        return float(base**exponent)
    except OverflowError:
        return math.inf
