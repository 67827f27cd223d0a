"""StableAdamW and MARS. The equations stand in csrc/rules/stabilized.hpp."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.reference.arithmetic import maximum, squared
from gradstep.reference.rules import Whole, rule

Array = NDArray[Any]


def stable_adamw_terms(
    p: Array,
    g: Array,
    exp_avg: Array,
    exp_avg_sq: Array,
    *,
    beta2: Any,
    one_minus_beta2: Any,
    eps_squared: Any,
    **own: Any,
) -> list[Array]:
    exp_avg_sq = beta2 * exp_avg_sq + one_minus_beta2 * g * g
    return [(g * g / maximum(eps_squared, exp_avg_sq)).astype(np.float64)]


def stable_adamw_conclude(
    sums: list[Any], size: Any, scalars: list[Any], *, lr: Any, weight_decay: Any, **own: Any
) -> Any:
    step_size = lr / maximum(np.float64(1.0), np.sqrt(sums[0] / size))
    return {"step_size": step_size, "shrink": 1.0 - step_size * weight_decay}


@rule(
    "exp_avg",
    "exp_avg_sq",
    sets_parameter=True,
    whole=Whole(
        derived=("step_size", "shrink"), terms=stable_adamw_terms, conclude=stable_adamw_conclude
    ),
)
def stable_adamw(
    p: Array,
    g: Array,
    exp_avg: Array,
    exp_avg_sq: Array,
    *,
    beta1: Any,
    one_minus_beta1: Any,
    beta2: Any,
    one_minus_beta2: Any,
    eps: Any,
    eps_squared: Any,
    lr: Any,
    weight_decay: Any,
    step_size: Any,
    shrink: Any,
) -> Array:
    exp_avg[:] = beta1 * exp_avg + one_minus_beta1 * g
    exp_avg_sq[:] = beta2 * exp_avg_sq + one_minus_beta2 * g * g
    return shrink * p - step_size * exp_avg / (np.sqrt(exp_avg_sq) + eps)


def corrected(g: Array, last_grad: Array, correction: Any) -> Array:
    return g + correction * (g - last_grad)


def mars_terms(
    p: Array,
    g: Array,
    exp_avg: Array,
    exp_avg_sq: Array,
    last_grad: Array,
    *,
    correction: Any,
    **own: Any,
) -> list[Array]:
    return [squared(corrected(g, last_grad, correction))]


def mars_conclude(sums: list[Any], size: Any, scalars: list[Any], **own: Any) -> Any:
    return {"scale": 1.0 / maximum(np.float64(1.0), np.sqrt(sums[0]))}


@rule(
    "exp_avg",
    "exp_avg_sq",
    "last_grad",
    momentum=True,
    whole=Whole(derived=("scale",), terms=mars_terms, conclude=mars_conclude),
)
def mars(
    g: Array,
    exp_avg: Array,
    exp_avg_sq: Array,
    last_grad: Array,
    *,
    beta1: Any,
    one_minus_beta1: Any,
    beta2: Any,
    one_minus_beta2: Any,
    step_size: Any,
    eps: Any,
    correction: Any,
    scale: Any,
) -> Array:
    c = scale * corrected(g, last_grad, correction)
    exp_avg[:] = beta1 * exp_avg + one_minus_beta1 * c
    exp_avg_sq[:] = beta2 * exp_avg_sq + one_minus_beta2 * c * c
    last_grad[:] = g
    return step_size * exp_avg / (np.sqrt(exp_avg_sq) + eps)
