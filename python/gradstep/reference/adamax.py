"""Adamax. The equations stand in csrc/rules/adamax.hpp."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.reference.arithmetic import maximum
from gradstep.reference.rules import rule

Array = NDArray[Any]


@rule("exp_avg", "exp_inf", momentum=True)
def adamax(
    g: Array,
    exp_avg: Array,
    exp_inf: Array,
    *,
    beta1: Any,
    one_minus_beta1: Any,
    beta2: Any,
    step_size: Any,
    eps: Any,
) -> Array:
    exp_avg[:] = beta1 * exp_avg + one_minus_beta1 * g
    exp_inf[:] = maximum(beta2 * exp_inf, np.abs(g) + eps)
    return step_size * exp_avg / exp_inf
