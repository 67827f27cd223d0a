"""RMSprop. The equations stand in csrc/rules/rmsprop.hpp."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.reference.rules import rule

Array = NDArray[Any]


@rule("square_avg")
def rmsprop(
    g: Array,
    square_avg: Array,
    *,
    lr: Any,
    alpha: Any,
    one_minus_alpha: Any,
    eps_inside: Any,
    eps_outside: Any,
) -> Array:
    square_avg[:] = alpha * square_avg + one_minus_alpha * g * g
    denominator = np.sqrt(square_avg + eps_inside) + eps_outside
    return lr * g / denominator


@rule("square_avg", "momentum_buffer", momentum=True)
def rmsprop_momentum(
    g: Array,
    square_avg: Array,
    momentum_buffer: Array,
    *,
    lr: Any,
    alpha: Any,
    one_minus_alpha: Any,
    eps_inside: Any,
    eps_outside: Any,
    momentum: Any,
    grad_weight: Any,
) -> Array:
    square_avg[:] = alpha * square_avg + one_minus_alpha * g * g
    denominator = np.sqrt(square_avg + eps_inside) + eps_outside
    momentum_buffer[:] = momentum * momentum_buffer + grad_weight * (g / denominator)
    return lr * momentum_buffer


@rule("square_avg", "momentum_buffer", momentum=True)
def rmsprop_nesterov(
    g: Array,
    square_avg: Array,
    momentum_buffer: Array,
    *,
    lr: Any,
    alpha: Any,
    one_minus_alpha: Any,
    eps_inside: Any,
    eps_outside: Any,
    momentum: Any,
    grad_weight: Any,
) -> Array:
    square_avg[:] = alpha * square_avg + one_minus_alpha * g * g
    denominator = np.sqrt(square_avg + eps_inside) + eps_outside
    pull = grad_weight * (g / denominator)
    momentum_buffer[:] = momentum * momentum_buffer + pull
    return lr * (momentum * momentum_buffer + pull)


@rule("square_avg", "grad_avg")
def rmsprop_centered(
    g: Array,
    square_avg: Array,
    grad_avg: Array,
    *,
    lr: Any,
    alpha: Any,
    one_minus_alpha: Any,
    eps_inside: Any,
    eps_outside: Any,
) -> Array:
    square_avg[:] = alpha * square_avg + one_minus_alpha * g * g
    grad_avg[:] = alpha * grad_avg + one_minus_alpha * g
    variance = square_avg - grad_avg * grad_avg
    variance = np.where(variance < 0, variance.dtype.type(0), variance)
    denominator = np.sqrt(variance + eps_inside) + eps_outside
    return lr * g / denominator


@rule("square_avg", "grad_avg", "momentum_buffer", momentum=True)
def rmsprop_centered_momentum(
    g: Array,
    square_avg: Array,
    grad_avg: Array,
    momentum_buffer: Array,
    *,
    lr: Any,
    alpha: Any,
    one_minus_alpha: Any,
    eps_inside: Any,
    eps_outside: Any,
    momentum: Any,
    grad_weight: Any,
) -> Array:
    square_avg[:] = alpha * square_avg + one_minus_alpha * g * g
    grad_avg[:] = alpha * grad_avg + one_minus_alpha * g
    variance = square_avg - grad_avg * grad_avg
    variance = np.where(variance < 0, variance.dtype.type(0), variance)
    denominator = np.sqrt(variance + eps_inside) + eps_outside
    momentum_buffer[:] = momentum * momentum_buffer + grad_weight * (g / denominator)
    return lr * momentum_buffer


@rule("square_avg", "grad_avg", "momentum_buffer", momentum=True)
def rmsprop_centered_nesterov(
    g: Array,
    square_avg: Array,
    grad_avg: Array,
    momentum_buffer: Array,
    *,
    lr: Any,
    alpha: Any,
    one_minus_alpha: Any,
    eps_inside: Any,
    eps_outside: Any,
    momentum: Any,
    grad_weight: Any,
) -> Array:
    square_avg[:] = alpha * square_avg + one_minus_alpha * g * g
    grad_avg[:] = alpha * grad_avg + one_minus_alpha * g
    variance = square_avg - grad_avg * grad_avg
    variance = np.where(variance < 0, variance.dtype.type(0), variance)
    denominator = np.sqrt(variance + eps_inside) + eps_outside
    pull = grad_weight * (g / denominator)
    momentum_buffer[:] = momentum * momentum_buffer + pull
    return lr * (momentum * momentum_buffer + pull)
