"""Prodigy. The equations stand in csrc/rules/prodigy.hpp."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.reference.arithmetic import maximum
from gradstep.reference.rules import Whole, rule

Array = NDArray[Any]


def terms(
    p: Array,
    g: Array,
    exp_avg: Array,
    exp_avg_sq: Array,
    s: Array,
    p0: Array,
    *,
    beta3: Any,
    start: Any,
    weight: Any,
    take_s: Any,
    **own: Any,
) -> list[Array]:
    wide = p.astype(np.float64)
    away = (wide if start > 0 else p0.astype(np.float64)) - wide
    new_s = beta3 * s + take_s * g
    dots = np.float64(weight) * g.astype(np.float64) * away
    return [dots, np.abs(new_s).astype(np.float64)]


def begin(
    scalars: list[Any],
    *,
    one_minus_beta1: Any,
    one_minus_beta2: Any,
    lr: Any,
    s_lr: Any,
    weight_decay: Any,
    d0: Any,
    **own: Any,
) -> Any:
    d = scalars[0]
    step_size = d * lr
    return {
        "weight": d / d0 * (d * lr),
        "take_s": d / d0 * (d * s_lr),
        "take": d * one_minus_beta1,
        "take_squares": d * d * one_minus_beta2,
        "step_size": step_size,
        "shrink": 1.0 - step_size * weight_decay,
    }


def conclude(
    sums: list[Any],
    size: Any,
    scalars: list[Any],
    *,
    beta3: Any,
    d0: Any,
    d_coef: Any,
    growth_rate: Any,
    **own: Any,
) -> Any:
    d, d_max, numerator = scalars
    numerator = beta3 * numerator + sums[0]
    if sums[1] > 0:
        estimate = d_coef * numerator / sums[1]
        if d == d0:
            d = maximum(d, estimate)
        d_max = maximum(d_max, estimate)
        d = d_max if d_max < d * growth_rate else d * growth_rate
    scalars[:] = d, d_max, numerator
    return {}


def finish(scalars: list[Any], *, eps: Any, **own: Any) -> Any:
    return {"least": scalars[0] * eps}


DERIVED = ("weight", "take_s", "take", "take_squares", "step_size", "shrink", "least")


@rule(
    "exp_avg",
    "exp_avg_sq",
    "s",
    "p0",
    sets_parameter=True,
    whole=Whole(
        ("d", "d_max", "d_numerator"), DERIVED, terms, begin, conclude, finish, of_all=True
    ),
)
def prodigy(
    p: Array,
    g: Array,
    exp_avg: Array,
    exp_avg_sq: Array,
    s: Array,
    p0: Array,
    *,
    beta1: Any,
    one_minus_beta1: Any,
    beta2: Any,
    one_minus_beta2: Any,
    beta3: Any,
    lr: Any,
    s_lr: Any,
    eps: Any,
    weight_decay: Any,
    d0: Any,
    d_coef: Any,
    growth_rate: Any,
    start: Any,
    weight: Any,
    take_s: Any,
    take: Any,
    take_squares: Any,
    step_size: Any,
    shrink: Any,
    least: Any,
) -> Array:
    if start > 0:
        p0[:] = p
    s[:] = beta3 * s + take_s * g
    exp_avg[:] = beta1 * exp_avg + take * g
    exp_avg_sq[:] = beta2 * exp_avg_sq + take_squares * g * g
    return shrink * p - step_size * exp_avg / (np.sqrt(exp_avg_sq) + least)
