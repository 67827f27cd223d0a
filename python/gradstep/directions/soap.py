"""The directions of SOAP: what Adam makes of gradients in the eigenbases, rotated back."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.arrays.at_once import Change, filled
from gradstep.arrays.memory import flat
from gradstep.directions.ahead import Ahead
from gradstep.directions.eigenbases import eigenbasis, is_set, iterated, rotated
from gradstep.directions.matrices import Matrix, Step
from gradstep.directions.newton_schulz import Memory, as_matrix
from gradstep.directions.products import Products

Array = NDArray[Any]

RUN = 16384  # elements worked on at a time


class SoapDirections:
    """Of all tensors of an optimizer, in their workspaces."""

    def __init__(self, matrices: list[Matrix]) -> None:
        self._matrices = matrices
        self._prepared = {m.name: np.empty_like(m.workspaces["direction"]) for m in matrices}
        self._ahead = Ahead(self._prepared)
        self._memory = Memory()
        self._following: dict[str, dict[str, Array]] = {}  # bases, to be taken over

    def compute(self, steps: list[Step], products: Products) -> None:
        """Directions of the tensors that these are about, and bases that are due."""
        for matrix, step in zip(self._matrices, steps, strict=True):
            if step.grad is not None:
                self._prepared[matrix.name].fill(0)
        self._ahead.average(steps, [(0.0, 1.0)] * len(steps), products)
        self._following = {}
        for matrix, step in zip(self._matrices, steps, strict=True):
            if step.grad is not None and matrix.size:
                self._direct(matrix, step)
                if matrix.state:
                    self._following[matrix.name] = self._bases(matrix, step)

    def finite(self, matrix: Matrix) -> bool:
        """Whether factors and bases will be."""
        prepared = flat(self._prepared[matrix.name])
        bases = self._following.get(matrix.name, {}).values()
        return bool(np.isfinite(np.dot(prepared, prepared))) and all(
            bool(np.isfinite(basis).all()) for basis in bases
        )

    def changes(self, steps: list[Step]) -> list[Change]:
        """What is to be written with the step beside what the engine writes."""
        changes: list[Change] = []
        for matrix, step in zip(self._matrices, steps, strict=True):
            if step.grad is None or not matrix.state:
                continue
            keep = beta_of_factors(step.h)
            g = as_matrix(self._prepared[matrix.name])
            following = self._following.get(matrix.name, {})
            for side, of_side in (("left", g), ("right", g.T)):
                factor = matrix.state[f"{side}_factor"]
                if factor.size and f"{side}_factor" not in following:
                    changes += lerp_of_products(factor, of_side, keep, self._memory)
            changes += [filled(matrix.state[name], new) for name, new in following.items()]
        return changes

    def _direct(self, matrix: Matrix, step: Step) -> None:
        beta1, beta2 = step.h["betas"]
        direction, turned = matrix.workspaces["direction"], matrix.workspaces["rotated"]
        if step.t == 1:
            direction.fill(0)
            turned.fill(0)
            return
        g, squares = self._prepared[matrix.name], matrix.values("exp_avg_sq")
        averaged, eps = matrix.values("exp_avg"), step.h["eps"]
        if not matrix.state:
            np.copyto(turned, g)
            average(direction, averaged, g, beta1)
            divide(direction, direction, turned, squares, beta2, eps)
            return
        (left, right), out = bases_of(matrix), [by_rows(turned), by_rows(direction)]
        both, between = (
            self._memory.of(name, (2, *out[0].shape), g.dtype, "C") for name in ("both", "between")
        )
        np.copyto(both[0], by_rows(g))
        average(both[1], averaged, g, beta1)
        rotated(both, left, right, out, between)
        divide(both[0], direction, turned, squares, beta2, eps)
        rotated(both[:1], left.T, right.T, out[1:], between[:1])

    def _bases(self, matrix: Matrix, step: Step) -> dict[str, Array]:
        """Those that are due, with the factors as they will be, of which they are."""
        keep, frequency = beta_of_factors(step.h), step.h["precondition_frequency"]
        g = as_matrix(self._prepared[matrix.name])
        due = step.t > 1 and (step.t - 1) % frequency == 0
        following = {}
        for side, of_side in (("left", g), ("right", g.T)):
            factor, basis = matrix.state[f"{side}_factor"], matrix.state[f"{side}_basis"]
            if not factor.size or (is_set(basis) and not due):
                continue
            new = np.matmul(of_side, of_side.T)
            new *= factor.dtype.type(1.0 - keep)
            new += factor.dtype.type(keep) * factor
            following[f"{side}_factor"] = new
            if not np.isfinite(new).all():
                following[f"{side}_basis"] = np.full_like(basis, np.nan)
            elif is_set(basis):
                following[f"{side}_basis"] = iterated(new @ basis, basis)
            else:
                following[f"{side}_basis"] = eigenbasis(new)
        return following


def beta_of_factors(h: Mapping[str, Any]) -> float:
    beta: float = h["betas"][1] if h["shampoo_beta"] < 0 else h["shampoo_beta"]
    return beta


def by_rows(array: Array) -> Array:
    """A matrix as it lies in memory, row by row; of one in Fortran's order it is the transpose."""
    matrix = as_matrix(array)
    return matrix if matrix.flags.c_contiguous else matrix.T


def bases_of(matrix: Matrix) -> tuple[Array, Array]:
    """The left and the right one of a matrix by rows."""
    left, right = matrix.state["left_basis"], matrix.state["right_basis"]
    as_it_is = as_matrix(matrix.workspaces["direction"]).flags.c_contiguous
    return (left, right) if as_it_is else (right, left)


def average(out: Array, before: Array, g: Array, keep: float) -> None:
    """out ← keep·before + (1 − keep)·g."""
    cast = out.dtype.type
    to, old, new = flat(out), flat(before), flat(g)
    for run in runs(out):
        np.multiply(old[run], cast(keep), out=to[run])
        to[run] += cast(1.0 - keep) * new[run]


def divide(out: Array, of: Array, turned: Array, squares: Array, keep: float, eps: float) -> None:
    """out ← of/(√(keep·squares + (1 − keep)·turned²) + ε)."""
    cast = out.dtype.type
    to, m, r, v = flat(out), flat(of), flat(turned), flat(squares)
    for run in runs(out):
        now = cast(1.0 - keep) * r[run]
        now *= r[run]
        now += cast(keep) * v[run]
        np.sqrt(now, out=now)
        now += cast(eps)
        np.divide(m[run], now, out=to[run])


def lerp_of_products(factor: Array, of: Array, keep: float, memory: Memory) -> list[Change]:
    """The changes that make factor ← keep·factor + (1 − keep)·of·ofᵀ, none a function in Python."""
    cast = factor.dtype.type
    product = memory.like(factor)
    return [
        partial(np.matmul, of, of.T, product),
        partial(np.multiply, product, cast(1.0 - keep), product),
        partial(np.multiply, factor, cast(keep), factor),
        partial(np.add, factor, product, factor),
    ]


def runs(array: Array) -> list[slice]:
    return [slice(start, start + RUN) for start in range(0, array.size, RUN)]
