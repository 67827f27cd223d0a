"""The directions of SOAP: what Adam makes of gradients in the eigenbases, rotated back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.arrays.at_once import Change, filled
from gradstep.arrays.memory import flat
from gradstep.directions.ahead import Ahead
from gradstep.directions.eigenbases import eigenbasis, is_set, iterated, rotate
from gradstep.directions.matrices import Matrix, Step
from gradstep.directions.newton_schulz import Memory, as_matrix
from gradstep.directions.products import Products
from gradstep.reference.draws import Halfway
from gradstep.reference.places import place_of

Array = NDArray[Any]

RUN = 32768  # elements worked on at a time


class SoapDirections:
    """Of all tensors of an optimizer, in their workspaces."""

    def __init__(self, matrices: list[Matrix], products: Products) -> None:
        self._matrices, self._products = matrices, products
        self._prepared = {m.name: np.empty_like(m.workspaces["direction"]) for m in matrices}
        self._ahead = Ahead(self._prepared, products)
        self._memory = Memory()
        self._held: dict[str, dict[str, Array]] = {}  # for factors
        # Factors and bases, and momentum in these bases, to be taken over.
        self._following: dict[str, dict[str, Array]] = {}
        self._momenta: dict[str, Array] = {}

    def compute(self, steps: list[Step]) -> None:
        """Directions of the tensors that these are about, and bases that are due."""
        for matrix, step in zip(self._matrices, steps, strict=True):
            if step.grad is not None:
                self._prepared[matrix.name].fill(0)
        self._ahead.average(steps, [(0.0, 1.0)] * len(steps))
        self._following, self._momenta = {}, {}
        for matrix, step in zip(self._matrices, steps, strict=True):
            if step.grad is None or not matrix.size:
                continue
            self._direct(matrix, step)
            if matrix.state:
                self._following[matrix.name] = self._factors(matrix, step.h)
                bases = self._bases(matrix, step)
                if bases and step.t > 1:
                    self._momenta[matrix.name] = self._momentum(matrix, step.h, bases)
                self._following[matrix.name] |= bases

    def finite(self, matrix: Matrix) -> bool:
        """Whether factors, bases and momentum will be."""
        prepared = flat(self._prepared[matrix.name])
        following = self._following.get(matrix.name, {})
        new = [array for key, array in following.items() if key.endswith("basis")]
        if matrix.name in self._momenta:
            new.append(self._momenta[matrix.name])
        return math.isfinite(self._products.squares(prepared)) and all(
            bool(np.isfinite(array).all()) for array in new
        )

    def changes(self, steps: list[Step]) -> list[Change]:
        """What is to be written with the step beside what the engine writes."""
        changes: list[Change] = []
        for matrix, step in zip(self._matrices, steps, strict=True):
            if step.grad is None or not matrix.state:
                continue
            following = self._following.get(matrix.name, {})
            changes += [filled(matrix.state[name], new) for name, new in following.items()]
            if matrix.name in self._momenta:
                place, new = place_of(matrix.slots["exp_avg"]), flat(self._momenta[matrix.name])
                changes += place.write(slice(0, place.size), new, Halfway())
        return changes

    def _direct(self, matrix: Matrix, step: Step) -> None:
        direction, turned = matrix.workspaces["direction"], matrix.workspaces["rotated"]
        if step.t == 1:
            direction.fill(0)
            turned.fill(0)
            return
        g = self._prepared[matrix.name]
        if not matrix.state:
            np.copyto(turned, g)
            divide(direction, turned, matrix, step.h)
            return
        left, right = bases_of(matrix, matrix.state)
        divided, between = (self._memory.like(by_rows(g), name) for name in ("divided", "between"))
        rotate(by_rows(g), left, right, by_rows(turned), between, self._products)
        divide(divided, turned, matrix, step.h)
        rotate(divided, left.T, right.T, by_rows(direction), between, self._products)

    def _factors(self, matrix: Matrix, h: Mapping[str, Any]) -> dict[str, Array]:
        """As they will be, in memory that is held."""
        keep, g = beta_of_factors(h), as_matrix(self._prepared[matrix.name])
        factors = self._held.setdefault(matrix.name, {})
        for key, of_side in (("left_factor", g), ("right_factor", g.T)):
            before = matrix.state[key]
            if not before.size:
                factors.pop(key, None)
                continue
            if key not in factors or factors[key].shape != before.shape:
                factors[key] = np.empty_like(before)
            self._products.gram(of_side, factors[key])
            lerp(factors[key], before, keep, self._memory.like(before))
        return dict(factors)

    def _bases(self, matrix: Matrix, step: Step) -> dict[str, Array]:
        """Those that are due."""
        due = step.t > 1 and (step.t - 1) % step.h["precondition_frequency"] == 0
        bases = {}
        for side in ("left", "right"):
            factor = self._following[matrix.name].get(f"{side}_factor")
            basis = matrix.state[f"{side}_basis"]
            if factor is None or (is_set(basis) and not due):
                continue
            if not np.isfinite(factor).all():
                new = np.full_like(basis, np.nan)
            elif is_set(basis):
                new = iterated(factor, basis, self._products)
            else:
                new = eigenbasis(factor, self._products)
            bases[f"{side}_basis"] = new
        return bases

    def _momentum(self, matrix: Matrix, h: Mapping[str, Any], bases: dict[str, Array]) -> Array:
        """The momentum after the step, in the bases that follow."""
        momentum = np.empty_like(matrix.workspaces["rotated"])
        average(momentum, matrix.values("exp_avg"), matrix.workspaces["rotated"], h["betas"][0])
        rows = by_rows(momentum)
        between = self._memory.like(rows, "between")
        left, right = bases_of(matrix, matrix.state)
        rotate(rows, left.T, right.T, rows, between, self._products)
        rotate(rows, *bases_of(matrix, matrix.state | bases), rows, between, self._products)
        return momentum


def beta_of_factors(h: Mapping[str, Any]) -> float:
    beta: float = h["betas"][1] if h["shampoo_beta"] < 0 else h["shampoo_beta"]
    return beta


def by_rows(array: Array) -> Array:
    """A matrix as it lies in memory, row by row; of one in Fortran's order it is the transpose."""
    matrix = as_matrix(array)
    return matrix if matrix.flags.c_contiguous else matrix.T


def bases_of(matrix: Matrix, state: Mapping[str, Array]) -> tuple[Array, Array]:
    """The left and the right one of a matrix by rows."""
    left, right = state["left_basis"], state["right_basis"]
    as_it_is = as_matrix(matrix.workspaces["direction"]).flags.c_contiguous
    return (left, right) if as_it_is else (right, left)


def average(out: Array, before: Array, new: Array, keep: float) -> None:
    """out ← keep·before + (1 − keep)·new."""
    cast = out.dtype.type
    np.multiply(new, cast(1.0 - keep), out=out)
    out += cast(keep) * before


def divide(out: Array, turned: Array, matrix: Matrix, h: Mapping[str, Any]) -> None:
    """out ← M/(√V + ε), of the averages M and V as the step will make them."""
    cast, (beta1, beta2), eps = out.dtype.type, h["betas"], h["eps"]
    averages = matrix.values("exp_avg"), matrix.values("exp_avg_sq")
    to, r, m, v = (flat(array) for array in (out, turned, *averages))
    for run in runs(out):
        root = cast(1.0 - beta2) * r[run]
        root *= r[run]
        root += cast(beta2) * v[run]
        np.sqrt(root, out=root)
        root += cast(eps)
        mean = cast(1.0 - beta1) * r[run]
        mean += cast(beta1) * m[run]
        np.divide(mean, root, out=to[run])


def lerp(out: Array, before: Array, keep: float, between: Array) -> None:
    """out ← keep·before + (1 − keep)·out."""
    cast = out.dtype.type
    out *= cast(1.0 - keep)
    np.multiply(before, cast(keep), out=between)
    out += between


def runs(array: Array) -> list[slice]:
    return [slice(start, start + RUN) for start in range(0, array.size, RUN)]
