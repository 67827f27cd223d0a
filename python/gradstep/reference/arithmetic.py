"""The scalar vocabulary of the rules, as csrc/rules/math.hpp has it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def sign(x: Array) -> Array:
    """−1, 0 or 1; 0 for NaN."""
    one, zero = x.dtype.type(1), x.dtype.type(0)
    return np.where(x > 0, one, np.where(x < 0, -one, zero))


def maximum(a: Any, b: Array) -> Array:
    """The larger of the two; `a` where either is NaN."""
    return np.where(b > a, b, a)


def minimum(a: Any, b: Any) -> Array:
    """The smaller of the two; `a` where either is NaN."""
    return np.where(b < a, b, a)


def clamp(x: Array, low: Any, high: Any) -> Array:
    """x limited to [low, high]; NaN stays NaN."""
    x = np.where(x < low, low, x)
    return np.where(x > high, high, x)


def soft_threshold(x: Array, threshold: Any) -> Array:
    """x drawn towards zero by `threshold`, and exactly zero within it."""
    shrunk = np.abs(x) - threshold
    return np.copysign(np.where(shrunk < 0, x.dtype.type(0), shrunk), x)


def squared(x: Array) -> Array:
    """What sums of squares are of, in float64."""
    wide = x.astype(np.float64)
    return wide * wide


def subtract_scaled(p: Array, factor: float, x: Array) -> None:
    """p ← p − factor·x, in place and in p's dtype."""
    p -= p.dtype.type(factor) * x
