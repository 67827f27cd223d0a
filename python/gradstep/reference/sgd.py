"""Gradient descent and momentum. The equations stand in csrc/rules/sgd.hpp.

A rule takes a run of gradients and its state slots, all one-dimensional and of one dtype, and its
coefficients as scalars of that dtype. It writes the slots in place and returns the step that is
subtracted from the parameters. A rule whose first argument is p sets them itself, and returns them.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from gradstep.reference.rules import rule

Array = NDArray[Any]


@rule()
def sgd(g: Array, *, lr: Any) -> Array:
    return lr * g


@rule("momentum_buffer", momentum=True)
def sgd_momentum(
    g: Array, momentum_buffer: Array, *, lr: Any, momentum: Any, grad_weight: Any
) -> Array:
    momentum_buffer[:] = momentum * momentum_buffer + grad_weight * g
    return lr * momentum_buffer


@rule("momentum_buffer", momentum=True)
def sgd_nesterov(
    g: Array, momentum_buffer: Array, *, lr: Any, momentum: Any, grad_weight: Any
) -> Array:
    momentum_buffer[:] = momentum * momentum_buffer + grad_weight * g
    return lr * (g + momentum * momentum_buffer)


@rule("momentum_buffer", momentum=True)
def sgd_velocity(g: Array, momentum_buffer: Array, *, lr: Any, momentum: Any) -> Array:
    momentum_buffer[:] = momentum * momentum_buffer + lr * g
    return momentum_buffer


@rule("momentum_buffer", momentum=True)
def sgd_velocity_nesterov(g: Array, momentum_buffer: Array, *, lr: Any, momentum: Any) -> Array:
    pull = lr * g
    momentum_buffer[:] = momentum * momentum_buffer + pull
    return momentum * momentum_buffer + pull
