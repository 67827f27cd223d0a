"""LAMB, LARS and NovoGrad. The equations stand in csrc/rules/layerwise.hpp."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.reference.arithmetic import squared
from gradstep.reference.rules import Whole, rule

Array = NDArray[Any]


def trust_ratio(squares: list[Any], eta: Any, eps: Any) -> Any:
    param, step = np.sqrt(squares[0]), np.sqrt(squares[1])
    return np.float64(1.0) if param == 0 or step == 0 else eta * param / (step + eps)


def unscaled(
    p: Array,
    g: Array,
    exp_avg: Array,
    exp_avg_sq: Array,
    *,
    beta1: Any,
    one_minus_beta1: Any,
    beta2: Any,
    one_minus_beta2: Any,
    mean_scale: Any,
    root_scale: Any,
    eps: Any,
    weight_decay: Any,
    **others: Any,
) -> tuple[Array, Array, Array]:
    """LAMB's step before its trust ratio, and its averages."""
    exp_avg = beta1 * exp_avg + one_minus_beta1 * g
    exp_avg_sq = beta2 * exp_avg_sq + one_minus_beta2 * g * g
    denominator = np.sqrt(exp_avg_sq) * root_scale + eps
    return mean_scale * exp_avg / denominator + weight_decay * p, exp_avg, exp_avg_sq


def lamb_terms(p: Array, g: Array, exp_avg: Array, exp_avg_sq: Array, **own: Any) -> list[Array]:
    return [squared(p), squared(unscaled(p, g, exp_avg, exp_avg_sq, **own)[0])]


def lamb_conclude(sums: list[Any], size: Any, scalars: list[Any], *, lr: Any, **own: Any) -> Any:
    return {"step_size": lr * trust_ratio(sums, np.float64(1.0), np.float64(0.0))}


@rule(
    "exp_avg",
    "exp_avg_sq",
    sets_parameter=True,
    whole=Whole(derived=("step_size",), terms=lamb_terms, conclude=lamb_conclude),
)
def lamb(
    p: Array,
    g: Array,
    exp_avg: Array,
    exp_avg_sq: Array,
    *,
    beta1: Any,
    one_minus_beta1: Any,
    beta2: Any,
    one_minus_beta2: Any,
    mean_scale: Any,
    root_scale: Any,
    eps: Any,
    weight_decay: Any,
    lr: Any,
    step_size: Any,
) -> Array:
    step, exp_avg[:], exp_avg_sq[:] = unscaled(
        p,
        g,
        exp_avg,
        exp_avg_sq,
        beta1=beta1,
        one_minus_beta1=one_minus_beta1,
        beta2=beta2,
        one_minus_beta2=one_minus_beta2,
        mean_scale=mean_scale,
        root_scale=root_scale,
        eps=eps,
        weight_decay=weight_decay,
    )
    return p - step_size * step


def lars_terms(p: Array, g: Array, momentum_buffer: Array, **own: Any) -> list[Array]:
    return [squared(p), squared(g)]


def lars_conclude(
    sums: list[Any],
    size: Any,
    scalars: list[Any],
    *,
    lr: Any,
    momentum: Any,
    trust_coefficient: Any,
    eps: Any,
) -> Any:
    return {"step_size": lr * trust_ratio(sums, trust_coefficient, eps)}


LARS = Whole(derived=("step_size",), terms=lars_terms, conclude=lars_conclude)


@rule("momentum_buffer", momentum=True, whole=LARS)
def lars(
    g: Array,
    momentum_buffer: Array,
    *,
    lr: Any,
    momentum: Any,
    trust_coefficient: Any,
    eps: Any,
    step_size: Any,
) -> Array:
    momentum_buffer[:] = momentum * momentum_buffer + step_size * g
    return momentum_buffer


@rule("momentum_buffer", momentum=True, whole=LARS)
def lars_nesterov(
    g: Array,
    momentum_buffer: Array,
    *,
    lr: Any,
    momentum: Any,
    trust_coefficient: Any,
    eps: Any,
    step_size: Any,
) -> Array:
    momentum_buffer[:] = momentum * momentum_buffer + step_size * g
    return momentum * momentum_buffer + step_size * g


def novograd_terms(p: Array, g: Array, exp_avg: Array, **own: Any) -> list[Array]:
    return [squared(g)]


def novograd_conclude(
    sums: list[Any],
    size: Any,
    scalars: list[Any],
    *,
    beta2: Any,
    one_minus_beta2: Any,
    eps: Any,
    **own: Any,
) -> Any:
    scalars[0] = beta2 * scalars[0] + one_minus_beta2 * sums[0]
    return {"denominator": np.sqrt(scalars[0]) + eps}


@rule(
    "exp_avg",
    sets_parameter=True,
    whole=Whole(("exp_avg_sq",), ("denominator",), novograd_terms, conclude=novograd_conclude),
)
def novograd(
    p: Array,
    g: Array,
    exp_avg: Array,
    *,
    lr: Any,
    beta1: Any,
    beta2: Any,
    one_minus_beta2: Any,
    take: Any,
    eps: Any,
    weight_decay: Any,
    denominator: Any,
) -> Array:
    exp_avg[:] = beta1 * exp_avg + take * (g / denominator + weight_decay * p)
    return p - lr * exp_avg
