"""Gradient descent and momentum. The equations stand in csrc/rules/sgd.hpp.

A rule takes a run of parameters and gradients and its state slots, all one-dimensional and of one
dtype, and its coefficients as scalars of that dtype. It writes the slots in place and returns the
new parameters.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]


def sgd(p: Array, g: Array, *, lr: Any) -> Array:
    return p - lr * g


def sgd_momentum(
    p: Array, g: Array, momentum_buffer: Array, *, lr: Any, momentum: Any, grad_weight: Any
) -> Array:
    momentum_buffer[:] = momentum * momentum_buffer + grad_weight * g
    return p - lr * momentum_buffer


def sgd_nesterov(
    p: Array, g: Array, momentum_buffer: Array, *, lr: Any, momentum: Any, grad_weight: Any
) -> Array:
    momentum_buffer[:] = momentum * momentum_buffer + grad_weight * g
    return p - lr * (g + momentum * momentum_buffer)


def sgd_velocity(p: Array, g: Array, momentum_buffer: Array, *, lr: Any, momentum: Any) -> Array:
    momentum_buffer[:] = momentum * momentum_buffer + lr * g
    return p - momentum_buffer


def sgd_velocity_nesterov(
    p: Array, g: Array, momentum_buffer: Array, *, lr: Any, momentum: Any
) -> Array:
    pull = lr * g
    momentum_buffer[:] = momentum * momentum_buffer + pull
    return p - (momentum * momentum_buffer + pull)
