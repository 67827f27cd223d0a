"""SignSGD, Signum and Lion. The equations stand in csrc/rules/sign.hpp."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from gradstep.reference.arithmetic import sign
from gradstep.reference.rules import rule

Array = NDArray[Any]


@rule()
def signsgd(g: Array, *, lr: Any) -> Array:
    return lr * sign(g)


@rule("momentum_buffer", momentum=True)
def signum(
    g: Array, momentum_buffer: Array, *, lr: Any, momentum: Any, one_minus_momentum: Any
) -> Array:
    momentum_buffer[:] = momentum * momentum_buffer + one_minus_momentum * g
    return lr * sign(momentum_buffer)


@rule("exp_avg", momentum=True)
def lion(
    g: Array,
    exp_avg: Array,
    *,
    lr: Any,
    beta1: Any,
    one_minus_beta1: Any,
    beta2: Any,
    one_minus_beta2: Any,
) -> Array:
    u = beta1 * exp_avg + one_minus_beta1 * g
    exp_avg[:] = beta2 * exp_avg + one_minus_beta2 * g
    return lr * sign(u)
