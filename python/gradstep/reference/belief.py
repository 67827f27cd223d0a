"""AdaBelief and Yogi. The equations stand in csrc/rules/belief.hpp."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.reference.arithmetic import maximum
from gradstep.reference.rules import rule

Array = NDArray[Any]


@rule("exp_avg", "exp_avg_var", momentum=True)
def adabelief(
    g: Array,
    exp_avg: Array,
    exp_avg_var: Array,
    *,
    beta1: Any,
    one_minus_beta1: Any,
    beta2: Any,
    one_minus_beta2: Any,
    step_size: Any,
    root_scale: Any,
    eps: Any,
    eps_root: Any,
) -> Array:
    exp_avg[:] = beta1 * exp_avg + one_minus_beta1 * g
    surprise = g - exp_avg
    exp_avg_var[:] = beta2 * exp_avg_var + one_minus_beta2 * surprise * surprise + eps_root
    return step_size * exp_avg / (np.sqrt(exp_avg_var) * root_scale + eps)


@rule("exp_avg", "exp_avg_var", "max_exp_avg_var", momentum=True)
def adabelief_amsgrad(
    g: Array,
    exp_avg: Array,
    exp_avg_var: Array,
    max_exp_avg_var: Array,
    *,
    beta1: Any,
    one_minus_beta1: Any,
    beta2: Any,
    one_minus_beta2: Any,
    step_size: Any,
    root_scale: Any,
    eps: Any,
    eps_root: Any,
) -> Array:
    exp_avg[:] = beta1 * exp_avg + one_minus_beta1 * g
    surprise = g - exp_avg
    exp_avg_var[:] = beta2 * exp_avg_var + one_minus_beta2 * surprise * surprise + eps_root
    max_exp_avg_var[:] = maximum(max_exp_avg_var, exp_avg_var)
    return step_size * exp_avg / (np.sqrt(max_exp_avg_var) * root_scale + eps)


@rule("exp_avg", "exp_avg_sq", momentum=True)
def yogi(
    g: Array,
    exp_avg: Array,
    exp_avg_sq: Array,
    *,
    beta1: Any,
    one_minus_beta1: Any,
    one_minus_beta2: Any,
    step_size: Any,
    root_scale: Any,
    eps: Any,
) -> Array:
    square = g * g
    exp_avg[:] = beta1 * exp_avg + one_minus_beta1 * g
    change = one_minus_beta2 * square
    grown = np.where(exp_avg_sq < square, exp_avg_sq + change, exp_avg_sq)
    exp_avg_sq[:] = np.where(exp_avg_sq > square, exp_avg_sq - change, grown)
    return step_size * exp_avg / (np.sqrt(exp_avg_sq) * root_scale + eps)
