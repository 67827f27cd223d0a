"""Adafactor. The equations stand in csrc/rules/adafactor.hpp."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.reference.arithmetic import maximum, squared
from gradstep.reference.rules import Whole, rule

Array = NDArray[Any]


def normalized(
    g: Array, variance: Array, *, eps1_squared: Any, take: Any, **own: Any
) -> tuple[Array, Array]:
    """The gradient over the root of its variance, and that."""
    variance = variance + take * (g * g - variance)
    return g / np.sqrt(maximum(eps1_squared, variance)), variance


def terms(p: Array, g: Array, variance: Array, **own: Any) -> list[Array]:
    return [squared(p), squared(normalized(g, variance, **own)[0])]


def begin(scalars: list[Any], factored: bool, *, one_minus_beta2: Any, **own: Any) -> Any:
    return {"take": np.float64(0.0) if factored else one_minus_beta2}


def factors(*, one_minus_beta2: Any, eps1: Any, **own: Any) -> tuple[Any, Any]:
    return one_minus_beta2, eps1


def conclude(
    sums: list[Any], size: Any, scalars: list[Any], *, rho: Any, eps2: Any, d: Any, **own: Any
) -> Any:
    alpha = maximum(eps2, np.sqrt(sums[0] / size)) * rho
    return {"step_size": alpha / maximum(np.float64(1.0), np.sqrt(sums[1] / size) / d)}


@rule(
    "variance",
    whole=Whole(
        derived=("take", "step_size"),
        terms=terms,
        begin=begin,
        conclude=conclude,
        factors=factors,
    ),
)
def adafactor(
    g: Array,
    variance: Array,
    *,
    rho: Any,
    one_minus_beta2: Any,
    eps1: Any,
    eps1_squared: Any,
    eps2: Any,
    d: Any,
    take: Any,
    step_size: Any,
) -> Array:
    u, variance[:] = normalized(g, variance, eps1_squared=eps1_squared, take=take)
    return step_size * u
