"""SOAP, given its direction. The equations stand in csrc/rules/soap.hpp."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from gradstep.reference.rules import rule

Array = NDArray[Any]


@rule("exp_avg", "exp_avg_sq", "rotated", "direction")
def soap(
    g: Array,
    exp_avg: Array,
    exp_avg_sq: Array,
    rotated: Array,
    direction: Array,
    *,
    beta1: Any,
    one_minus_beta1: Any,
    beta2: Any,
    one_minus_beta2: Any,
    step_size: Any,
) -> Array:
    exp_avg[:] = beta1 * exp_avg + one_minus_beta1 * rotated
    exp_avg_sq[:] = beta2 * exp_avg_sq + one_minus_beta2 * rotated * rotated
    return step_size * direction
