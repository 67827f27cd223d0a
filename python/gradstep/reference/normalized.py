"""ADOPT and LaProp. The equations stand in csrc/rules/normalized.hpp."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.reference.arithmetic import clamp, maximum
from gradstep.reference.rules import rule

Array = NDArray[Any]


@rule("exp_avg", "exp_avg_sq", momentum=True)
def adopt(
    g: Array,
    exp_avg: Array,
    exp_avg_sq: Array,
    *,
    lr: Any,
    beta1: Any,
    one_minus_beta1: Any,
    beta2: Any,
    one_minus_beta2: Any,
    limit: Any,
    eps: Any,
) -> Array:
    normed = clamp(g / maximum(eps, np.sqrt(exp_avg_sq)), -limit, limit)
    exp_avg[:] = beta1 * exp_avg + one_minus_beta1 * normed
    exp_avg_sq[:] = beta2 * exp_avg_sq + one_minus_beta2 * g * g
    return lr * exp_avg


@rule("exp_avg", "exp_avg_sq", momentum=True)
def laprop(
    g: Array,
    exp_avg: Array,
    exp_avg_sq: Array,
    *,
    beta1: Any,
    one_minus_beta1: Any,
    beta2: Any,
    one_minus_beta2: Any,
    step_size: Any,
    root_scale: Any,
    eps: Any,
) -> Array:
    exp_avg_sq[:] = beta2 * exp_avg_sq + one_minus_beta2 * g * g
    denominator = np.sqrt(exp_avg_sq) * root_scale + eps
    exp_avg[:] = beta1 * exp_avg + one_minus_beta1 * g / denominator
    return step_size * exp_avg


@rule("exp_avg", "exp_avg_sq", "max_exp_avg_sq", momentum=True)
def laprop_amsgrad(
    g: Array,
    exp_avg: Array,
    exp_avg_sq: Array,
    max_exp_avg_sq: Array,
    *,
    beta1: Any,
    one_minus_beta1: Any,
    beta2: Any,
    one_minus_beta2: Any,
    step_size: Any,
    root_scale: Any,
    eps: Any,
) -> Array:
    exp_avg_sq[:] = beta2 * exp_avg_sq + one_minus_beta2 * g * g
    max_exp_avg_sq[:] = maximum(max_exp_avg_sq, exp_avg_sq)
    denominator = np.sqrt(max_exp_avg_sq) * root_scale + eps
    exp_avg[:] = beta1 * exp_avg + one_minus_beta1 * g / denominator
    return step_size * exp_avg
