"""Values that users give: real numbers, whoever's they are, counts and flags, checked."""

from __future__ import annotations

import math
import numbers
import operator
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from reprlib import Repr
from typing import Any

SHORT = Repr()
SHORT.maxlist = SHORT.maxtuple = SHORT.maxdict = 50
SHORT.maxstring = SHORT.maxother = SHORT.maxlong = 500


def shown(value: Any) -> str:
    """A value as errors show it: its repr, cut where it is long or deep, or contains itself."""
    return SHORT.repr(value)


def is_number(value: Any) -> bool:
    """Whether `value` is a real number: Python's, NumPy's, or a 0-d array of one."""
    if isinstance(value, numbers.Real):
        return not isinstance(value, bool)
    if getattr(value, "shape", None) != ():
        return False
    return getattr(value.dtype, "kind", None) in ("f", "i", "u")


def reads_as_float(value: Any) -> bool:
    """Whether ``float`` makes a number of what is none itself: a Decimal, a tensor of one."""
    if isinstance(value, (bool, str)) or not hasattr(value, "__float__"):
        return False
    try:
        float(value)
    except Exception:  # anybody's
        return False
    return True


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
        raise TypeError(f"{name} must be {expected}, got {shown(value)}")
    if count < least:
        raise ValueError(f"{name} must be {expected}, got {shown(value)}")
    return count


def check_finite(name: str, value: Any, low: float = -math.inf, above_low: bool = False) -> float:
    """`value` as a float, or an error that names the parameter where it is not in its range."""
    expected = "a finite number"
    if low > -math.inf:
        expected += f" {'>' if above_low else '≥'} {low:g}"
    if not is_number(value):
        raise TypeError(f"{name} must be {expected}, got {shown(value)}")
    number = as_float(value)
    if not math.isfinite(number) or number < low or (above_low and number == low):
        raise ValueError(f"{name} must be {expected}, got {shown(value)}")
    return number


def check_metric(name: str, value: Any) -> float:
    """`value` as a float, infinities included, or an error that names the parameter."""
    if not is_number(value) or math.isnan(as_float(value)):
        raise TypeError(f"{name} must be a number other than NaN, got {shown(value)}")
    return as_float(value)


def metric_of(value: Any) -> float:
    """A new metric as a float, NaN included; text that reads like a number is none."""
    if not isinstance(value, (str, bytes, bytearray)):
        try:
            return as_float(value)
        except (TypeError, ValueError):
            pass
    raise TypeError(f"metric must be a number, got {shown(value)}")


def check_flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, got {shown(value)}")
    return value


@contextmanager
def reading(what: str) -> Iterator[None]:
    """A ValueError where the objects that `what` is made of raise errors of their own."""
    try:
        yield
    except (TypeError, ValueError):
        raise
    except Exception as error:
        raise ValueError(f"{what} cannot be read: {type(error).__name__}: {error}") from error


def own_dict(given: Any) -> Any:
    """A mapping as a dict of our own, so that what is checked is what is taken."""
    return dict(given) if isinstance(given, Mapping) else given


def check_entries(state_dict: Any, *names: str) -> dict[str, Any]:
    """`state_dict` as a dict, or an error where it has not exactly the entries `names`."""
    with reading("state_dict"):
        entries = own_dict(state_dict)
    expected = f"{', '.join(names[:-1])} and {names[-1]}"
    if not isinstance(entries, dict):
        raise TypeError(f"state_dict must be a dict that holds {expected}, got {shown(state_dict)}")
    if set(entries) != set(names):
        raise ValueError(f"state_dict must hold {expected}, got {shown(list(entries))}")
    return entries


def check_grad_scale(value: Any) -> float:
    if not is_number(value):
        raise TypeError(f"grad_scale must be a finite number > 0, got {shown(value)}")
    number = as_float(value)
    if not (math.isfinite(number) and number > 0):
        raise ValueError(f"grad_scale must be a finite number > 0, got {shown(value)}")
    return number


def check_axis(name: str, value: Any) -> int:
    """The first axis, 0, or the last, -1."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be 0 or -1, got {shown(value)}")
    if value not in (0, -1):
        raise ValueError(
            f"{name} must be 0 or -1, the first axis or the last, got {shown(value)}; reshape "
            "parameters whose units lie along another one"
        )
    return value
