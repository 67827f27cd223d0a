"""Adagrad and Adadelta. The equations stand in csrc/rules/adagrad.hpp."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.reference.rules import rule

Array = NDArray[Any]


@rule("sum")
def adagrad(g: Array, sum: Array, *, lr: Any, eps_inside: Any, eps_outside: Any) -> Array:
    sum[:] = sum + g * g
    return lr * g / (np.sqrt(sum + eps_inside) + eps_outside)


@rule("square_avg", "acc_delta")
def adadelta(
    g: Array,
    square_avg: Array,
    acc_delta: Array,
    *,
    lr: Any,
    rho: Any,
    one_minus_rho: Any,
    eps: Any,
) -> Array:
    square_avg[:] = rho * square_avg + one_minus_rho * g * g
    delta = np.sqrt(acc_delta + eps) / np.sqrt(square_avg + eps) * g
    acc_delta[:] = rho * acc_delta + one_minus_rho * delta * delta
    return lr * delta
