"""Schedule-free methods. The equations stand in csrc/rules/schedule_free.hpp."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.reference.arithmetic import maximum
from gradstep.reference.rules import Whole, rule

Array = NDArray[Any]


def conclude(
    sums: list[Any],
    size: Any,
    scalars: list[Any],
    *,
    lr: Any,
    lr_power: Any,
    polynomial: Any,
    beta: Any,
    **own: Any,
) -> Any:
    scalars[0] = maximum(scalars[0], lr_power)
    weight = polynomial * scalars[0]
    scalars[1] = scalars[1] + weight
    c = weight / scalars[1] if scalars[1] > 0 else np.float64(0.0)
    return {"c": c, "y_step": lr * (beta * (1.0 - c) - 1.0)}


AVERAGING = Whole(("lr_power_max", "weight_sum"), ("c", "y_step"), conclude=conclude)


@rule("z", sets_parameter=True, whole=AVERAGING)
def schedule_free_sgd(
    p: Array,
    g: Array,
    z: Array,
    *,
    lr: Any,
    lr_power: Any,
    polynomial: Any,
    beta: Any,
    start: Any,
    c: Any,
    y_step: Any,
) -> Array:
    before = p if start > 0 else z
    moved = p + c * (before - p) + y_step * g
    z[:] = before - lr * g
    return moved


@rule("z", "exp_avg_sq", sets_parameter=True, whole=AVERAGING)
def schedule_free_adam(
    p: Array,
    g: Array,
    z: Array,
    exp_avg_sq: Array,
    *,
    lr: Any,
    lr_power: Any,
    polynomial: Any,
    beta: Any,
    start: Any,
    beta2: Any,
    one_minus_beta2: Any,
    root_scale: Any,
    eps: Any,
    weight_decay: Any,
    c: Any,
    y_step: Any,
) -> Array:
    before = p if start > 0 else z
    exp_avg_sq[:] = beta2 * exp_avg_sq + one_minus_beta2 * g * g
    u = g / (np.sqrt(exp_avg_sq) * root_scale + eps) + weight_decay * p
    moved = p + c * (before - p) + y_step * u
    z[:] = before - lr * u
    return moved
