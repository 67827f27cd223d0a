"""Adafactor. The equations stand in csrc/rules/adafactor.hpp."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.reference.arithmetic import maximum, minimum, squared
from gradstep.reference.rules import Whole, rule, rule_of_factors

Array = NDArray[Any]


def normalized(
    g: Array, variance: Array, *, one_minus_beta2: Any, eps1_squared: Any, **own: Any
) -> tuple[Array, Array]:
    """The gradient over the root of its variance, and that."""
    variance = variance + one_minus_beta2 * (g * g - variance)
    return g / np.sqrt(maximum(eps1_squared, variance)), variance


def normalized_by(g: Array, inverse_root: Array, *, eps1: Any, **own: Any) -> Array:
    return g * minimum(inverse_root, inverse_root.dtype.type(1) / eps1)


def terms(p: Array, g: Array, variance: Array, **own: Any) -> list[Array]:
    return [squared(p), squared(normalized(g, variance, **own)[0])]


def terms_of_factors(p: Array, g: Array, inverse_root: Array, **own: Any) -> list[Array]:
    return [squared(p), squared(normalized_by(g, inverse_root, **own))]


def factors(*, one_minus_beta2: Any, eps1: Any, **own: Any) -> tuple[Any, Any]:
    return one_minus_beta2, eps1


def conclude(
    sums: list[Any], size: Any, scalars: list[Any], *, rho: Any, eps2: Any, d: Any, **own: Any
) -> Any:
    alpha = maximum(eps2, np.sqrt(sums[0] / size)) * rho
    return {"step_size": alpha / maximum(np.float64(1.0), np.sqrt(sums[1] / size) / d)}


@rule_of_factors(
    "inverse_root",
    whole=Whole(derived=("step_size",), terms=terms_of_factors, conclude=conclude, factors=factors),
)
def adafactor_of_factors(
    g: Array,
    inverse_root: Array,
    *,
    rho: Any,
    one_minus_beta2: Any,
    eps1: Any,
    eps1_squared: Any,
    eps2: Any,
    d: Any,
    step_size: Any,
) -> Array:
    return step_size * normalized_by(g, inverse_root, eps1=eps1)


@rule(
    "variance",
    whole=Whole(
        derived=("step_size",),
        terms=terms,
        conclude=conclude,
        factors=factors,
        of_factors=adafactor_of_factors,
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
    step_size: Any,
) -> Array:
    u, variance[:] = normalized(
        g, variance, one_minus_beta2=one_minus_beta2, eps1_squared=eps1_squared
    )
    return step_size * u
