"""Limits on gradients by their norm: of all together, of each tensor, of each unit of a tensor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gradstep.arrays.parts import Part
from gradstep.reference.arithmetic import squared
from gradstep.reference.measures import squares
from gradstep.reference.places import Place
from gradstep.reference.units import Units

Array = NDArray[Any]

OTHER_SUMS = "expected the sums of all blocks of all tensors that have a gradient"


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


class BlockSums(NamedTuple):
    """Sums of squares over blocks, of one tensor after another: of the gradients; and where units
    are limited, over the units' blocks of those that have several, and of all parameters."""

    squares: Array
    unit_grads: Array
    unit_params: Array


class Limiting(NamedTuple):
    """A tensor that limits look at."""

    part: Part
    limits: Limits
    param: Place
    grad: Array | None

    @property
    def whole(self) -> Units:
        return Units(self.part)

    def param_squares(self, run: slice) -> Array:
        return squared(self.param.read(run))

    @property
    def units(self) -> Units | None:
        """Where they are limited."""
        limited = self.grad is not None and math.isfinite(self.limits.adaptive)
        return Units(self.part, self.limits.units_axis) if limited else None


def measured(tensors: Sequence[Limiting]) -> BlockSums:
    """The sums over the blocks that are here."""
    squares_, grads, params = [np.zeros(0)], [np.zeros(0)], [np.zeros(0)]
    for tensor in tensors:
        if (grad := tensor.grad) is None:
            continue
        squares_.append(tensor.whole.block_sums(squares(grad), grad.size))
        if (units := tensor.units) is not None:
            params.append(units.block_sums(tensor.param_squares, grad.size))
            if units.count > 1:
                grads.append(units.block_sums(squares(grad), grad.size))
    return BlockSums(*map(np.concatenate, (squares_, grads, params)))


def limit_gradients(
    tensors: Sequence[Limiting],
    sums: BlockSums,
    row_limits: Sequence[Limits],
    grad_scale: float,
) -> Limited:
    """By the sums over all blocks of the whole tensors."""
    scale = abs(grad_scale)
    of_squares, of_grads, of_params = map(Taken, sums)
    total = left = 0.0
    factors: list[float] = []
    of_units: list[Array | None] = []
    for tensor in tensors:
        factor, unit = 1.0, None
        if tensor.grad is not None:
            before = of_squares.next(tensor.whole)
            remaining = float(before[0])
            if (units := tensor.units) is not None:
                grads = before if units.count == 1 else of_grads.next(units)
                unit, remaining = unit_factors(grads, of_params.next(units), tensor.limits, scale)
            factor = reduction(math.sqrt(remaining) * scale, tensor.limits.tensor_norm)
            total += float(before[0])
            left += factor * factor * remaining
            if unit is not None and unit.size == 1:
                factor, unit = factor * float(unit[0]), None
        factors.append(factor)
        of_units.append(unit)
    for taken in (of_squares, of_grads, of_params):
        taken.check()
    clipped = math.sqrt(left) * scale
    rows = [reduction(clipped, limits.norm) for limits in row_limits]
    return Limited(math.sqrt(total) * scale, rows, factors, of_units)


class Taken:
    """Sums of blocks, taken by one tensor after another."""

    def __init__(self, sums: Array) -> None:
        self._sums, self._at = np.asarray(sums, np.float64), 0

    def next(self, units: Units) -> Array:
        """Over each of these units."""
        begin, self._at = self._at, self._at + units.sum_count
        if self._at > self._sums.size:
            raise ValueError(OTHER_SUMS)
        return units.add(self._sums[begin : self._at])

    def check(self) -> None:
        if self._at != self._sums.size:
            raise ValueError(OTHER_SUMS)


def reduction(norm: float, limit: float) -> float:
    factor = limit / (norm + 1e-6)
    return factor if factor < 1 else 1.0


def unit_factors(sums: Array, weights: Array, limits: Limits, scale: float) -> tuple[Array, float]:
    """A factor for every unit of a tensor, and what they leave of its sum of squares."""
    norms = np.sqrt(sums) * scale
    roots = np.sqrt(weights)
    most = limits.adaptive * np.where(roots > limits.adaptive_eps, roots, limits.adaptive_eps)
    allowed = most / np.where(norms > 1e-6, norms, 1e-6)
    factors = np.where(allowed < 1, allowed, 1.0)
    left = 0.0
    for factor, of_unit in zip(factors.tolist(), sums.tolist(), strict=True):
        left += factor * factor * of_unit
    return factors, left


def apply_factors(units: Units, grad: Array, factors: Array) -> Array:
    """`grad`, flat, with every unit scaled by its factor."""
    return grad * factors.astype(grad.dtype)[units.of_elements(grad.size)]
