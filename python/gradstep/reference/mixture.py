"""Adan and AdEMAMix. The equations stand in csrc/rules/mixture.hpp."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.reference.rules import rule

Array = NDArray[Any]


@rule("exp_avg", "exp_avg_diff", "exp_avg_sq", "previous_grad", momentum=True)
def adan(
    g: Array,
    exp_avg: Array,
    exp_avg_diff: Array,
    exp_avg_sq: Array,
    previous_grad: Array,
    *,
    beta1: Any,
    one_minus_beta1: Any,
    beta2: Any,
    one_minus_beta2: Any,
    beta3: Any,
    one_minus_beta3: Any,
    diff_weight: Any,
    avg_step: Any,
    diff_step: Any,
    root_scale: Any,
    eps: Any,
) -> Array:
    diff = diff_weight * (g - previous_grad)
    ahead = g + beta2 * diff
    exp_avg[:] = beta1 * exp_avg + one_minus_beta1 * g
    exp_avg_diff[:] = beta2 * exp_avg_diff + one_minus_beta2 * diff
    exp_avg_sq[:] = beta3 * exp_avg_sq + one_minus_beta3 * ahead * ahead
    previous_grad[:] = g
    numerator = avg_step * exp_avg + diff_step * exp_avg_diff
    return numerator / (np.sqrt(exp_avg_sq) * root_scale + eps)


@rule("exp_avg", "exp_avg_slow", "exp_avg_sq", momentum=True)
def ademamix(
    g: Array,
    exp_avg: Array,
    exp_avg_slow: Array,
    exp_avg_sq: Array,
    *,
    beta1: Any,
    one_minus_beta1: Any,
    beta2: Any,
    one_minus_beta2: Any,
    beta3: Any,
    one_minus_beta3: Any,
    avg_step: Any,
    slow_step: Any,
    root_scale: Any,
    eps: Any,
) -> Array:
    exp_avg[:] = beta1 * exp_avg + one_minus_beta1 * g
    exp_avg_slow[:] = beta3 * exp_avg_slow + one_minus_beta3 * g
    exp_avg_sq[:] = beta2 * exp_avg_sq + one_minus_beta2 * g * g
    numerator = avg_step * exp_avg + slow_step * exp_avg_slow
    return numerator / (np.sqrt(exp_avg_sq) * root_scale + eps)
