"""Values that users give: real numbers, whoever's they are, counts and flags, checked."""

from __future__ import annotations

import math
import numbers
import operator
from collections.abc import Mapping
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


def check_count(name: str, value: Any, least: int = 1) -> int:
    """`value` as an int, or an error that names the parameter where it is no integer ≥ `least`."""
    expected = f"an integer ≥ {least}"
    try:
        count = operator.index(value) if is_number(value) else None
    except TypeError:
        count = None
    if count is None:
        raise TypeError(f"{name} must be {expected}, got {value!r}")
    if count < least:
        raise ValueError(f"{name} must be {expected}, got {value!r}")
    return count


def check_finite(name: str, value: Any, low: float = -math.inf, above_low: bool = False) -> float:
    """`value` as a float, or an error that names the parameter where it is not in its range."""
    expected = "a finite number"
    if low > -math.inf:
        expected += f" {'>' if above_low else '≥'} {low:g}"
    if not is_number(value):
        raise TypeError(f"{name} must be {expected}, got {value!r}")
    number = as_float(value)
    if not math.isfinite(number) or number < low or (above_low and number == low):
        raise ValueError(f"{name} must be {expected}, got {value!r}")
    return number


def check_metric(name: str, value: Any) -> float:
    """`value` as a float, infinities included, or an error that names the parameter."""
    if not is_number(value) or math.isnan(as_float(value)):
        raise TypeError(f"{name} must be a number other than NaN, got {value!r}")
    return as_float(value)


def metric_of(value: Any) -> float:
    """A new metric as a float, NaN included; text that reads like a number is none."""
    if not isinstance(value, (str, bytes, bytearray)):
        try:
            return as_float(value)
        except (TypeError, ValueError):
            pass
    raise TypeError(f"metric must be a number, got {value!r}")


def check_flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return value


def check_entries(state_dict: Any, *names: str) -> None:
    """Raise an error where `state_dict` is not a dict with exactly the entries `names`."""
    expected = f"{', '.join(names[:-1])} and {names[-1]}"
    if not isinstance(state_dict, Mapping):
        raise TypeError(f"state_dict must be a dict that holds {expected}, got {state_dict!r}")
    if set(state_dict) != set(names):
        raise ValueError(f"state_dict must hold {expected}, got {list(state_dict)}")


def check_grad_scale(value: Any) -> float:
    if not is_number(value):
        raise TypeError(f"grad_scale must be a finite number > 0, got {value!r}")
    number = as_float(value)
    if not (math.isfinite(number) and number > 0):
        raise ValueError(f"grad_scale must be a finite number > 0, got {value!r}")
    return number


def check_axis(name: str, value: Any) -> int:
    """The first axis, 0, or the last, -1."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be 0 or -1, got {value!r}")
    if value not in (0, -1):
        raise ValueError(
            f"{name} must be 0 or -1, the first axis or the last, got {value!r}; reshape "
            "parameters whose units lie along another one"
        )
    return value
