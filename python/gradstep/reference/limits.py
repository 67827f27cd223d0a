"""Limits on gradients by their norm: of all together, of each tensor, of each unit of a tensor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gradstep.arrays.memory import flat
from gradstep.reference.measures import alternating, of_elements, of_units, squares

Array = NDArray[Any]


class Limits(NamedTuple):
    """The limits of a row; infinity is off."""

    norm: float
    tensor_norm: float
    adaptive: float
    adaptive_eps: float
    units_axis: int


class Limited(NamedTuple):
    """The norm before; and what is left: a factor per row, per tensor, and per unit of tensors."""

    norm: float
    rows: list[float]
    tensors: list[float]
    units: list[Array | None]


def limit_gradients(
    params: Sequence[Array],
    grads: Sequence[Array | None],
    limits: Sequence[Limits],
    row_of: Sequence[int],
    grad_scale: float,
) -> Limited:
    """`params` in their shapes, `grads` flat in the memory order of their parameters."""
    scale = abs(grad_scale)
    total = left = 0.0
    tensors: list[float] = []
    units: list[Array | None] = []
    for param, grad, row in zip(params, grads, row_of, strict=True):
        factor, factors = 1.0, None
        if grad is not None:
            remaining = before = of_elements(squares(grad), 0, grad.size)
            if math.isfinite(limits[row].adaptive):
                factors, remaining = unit_factors(param, grad, limits[row], scale)
            factor = reduction(math.sqrt(remaining) * scale, limits[row].tensor_norm)
            total += before
            left += factor * factor * remaining
            if factors is not None and factors.size == 1:
                factor, factors = factor * float(factors[0]), None
        tensors.append(factor)
        units.append(factors)
    clipped = math.sqrt(left) * scale
    rows = [reduction(clipped, of_row.norm) for of_row in limits]
    return Limited(math.sqrt(total) * scale, rows, tensors, units)


def reduction(norm: float, limit: float) -> float:
    factor = limit / (norm + 1e-6)
    return factor if factor < 1 else 1.0


def unit_factors(param: Array, grad: Array, limits: Limits, scale: float) -> tuple[Array, float]:
    """A factor for every unit of a tensor, and what they leave of its sum of squares."""
    sums, weights = (of_units(squares(x), param, limits.units_axis) for x in (grad, flat(param)))
    norms = np.sqrt(sums) * scale
    roots = np.sqrt(weights)
    most = limits.adaptive * np.where(roots > limits.adaptive_eps, roots, limits.adaptive_eps)
    allowed = most / np.where(norms > 1e-6, norms, 1e-6)
    factors = np.where(allowed < 1, allowed, 1.0)
    left = 0.0
    for factor, of_unit in zip(factors.tolist(), sums.tolist(), strict=True):
        left += factor * factor * of_unit
    return factors, left


def apply_factors(param: Array, grad: Array, factors: Array, units_axis: int) -> Array:
    """`grad`, flat, with every unit scaled by its factor."""
    cast = factors.astype(grad.dtype)
    if alternating(param, units_axis):
        return flat(grad.reshape(-1, cast.size) * cast)
    return flat(grad.reshape(cast.size, -1) * cast[:, None])
