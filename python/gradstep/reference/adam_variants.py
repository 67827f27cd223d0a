"""NAdam and RAdam. The equations stand in csrc/rules/adam_variants.hpp."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.reference.rules import rule

Array = NDArray[Any]


@rule("exp_avg", "exp_avg_sq", momentum=True)
def nadam(
    g: Array,
    exp_avg: Array,
    exp_avg_sq: Array,
    *,
    beta1: Any,
    one_minus_beta1: Any,
    beta2: Any,
    one_minus_beta2: Any,
    grad_step: Any,
    avg_step: Any,
    root_scale: Any,
    eps: Any,
) -> Array:
    exp_avg[:] = beta1 * exp_avg + one_minus_beta1 * g
    exp_avg_sq[:] = beta2 * exp_avg_sq + one_minus_beta2 * g * g
    return (grad_step * g + avg_step * exp_avg) / (np.sqrt(exp_avg_sq) * root_scale + eps)


@rule("exp_avg", "exp_avg_sq", momentum=True)
def radam(
    g: Array,
    exp_avg: Array,
    exp_avg_sq: Array,
    *,
    beta1: Any,
    one_minus_beta1: Any,
    beta2: Any,
    one_minus_beta2: Any,
    step_size: Any,
    root_cap: Any,
    eps: Any,
) -> Array:
    exp_avg[:] = beta1 * exp_avg + one_minus_beta1 * g
    exp_avg_sq[:] = beta2 * exp_avg_sq + one_minus_beta2 * g * g
    root = np.sqrt(exp_avg_sq)
    return step_size * exp_avg / (np.where(root > root_cap, root_cap, root) + eps)
