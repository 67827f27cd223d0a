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

    def compute(self, steps: list[Step]) -> None:
        """Directions of the tensors that these are about, and bases that are due."""
        for matrix, step in zip(self._matrices, steps, strict=True):
            if step.grad is not None:
                self._prepared[matrix.name].fill(0)
        self._ahead.average(steps, [(0.0, 1.0)] * len(steps))
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
            for side, of_side in (("left", g), ("right", g.T)):
                factor = matrix.state[f"{side}_factor"]
                if factor.size:
                    changes += lerp_of_products(factor, of_side, keep, self._memory)
            for name, basis in self._following.get(matrix.name, {}).items():
                changes.append(filled(matrix.state[name], basis))
        return changes

    def _direct(self, matrix: Matrix, step: Step) -> None:
        beta1, beta2 = step.h["betas"]
        direction, turned = matrix.workspaces["direction"], matrix.workspaces["rotated"]
        if step.t == 1:
            direction.fill(0)
            turned.fill(0)
            return
        g = self._prepared[matrix.name]
        np.copyto(turned, g)
        average(direction, matrix.values("exp_avg"), g, beta1)
        sides = bases_of(matrix)
        if sides:
            between = self._memory.like(as_matrix(direction))
            for array in (turned, direction):
                rotated(as_matrix(array), sides[0], sides[1], as_matrix(array), between)
        divide(direction, turned, matrix.values("exp_avg_sq"), beta2, step.h["eps"])
        if sides:
            back = [basis.T for basis in sides]
            rotated(as_matrix(direction), back[0], back[1], as_matrix(direction), between)

    def _bases(self, matrix: Matrix, step: Step) -> dict[str, Array]:
        """Those that are due, of the factors as they will be."""
        keep, frequency = beta_of_factors(step.h), step.h["precondition_frequency"]
        g = as_matrix(self._prepared[matrix.name])
        due = step.t > 1 and (step.t - 1) % frequency == 0
        following = {}
        for side, of_side in (("left", g), ("right", g.T)):
            factor, basis = matrix.state[f"{side}_factor"], matrix.state[f"{side}_basis"]
            if not factor.size or (is_set(basis) and not due):
                continue
            cast = factor.dtype.type
            new = cast(keep) * factor + cast(1.0 - keep) * np.matmul(of_side, of_side.T)
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


def bases_of(matrix: Matrix) -> list[Array]:
    return [matrix.state["left_basis"], matrix.state["right_basis"]] if matrix.state else []


def average(out: Array, before: Array, g: Array, keep: float) -> None:
    """out ← keep·before + (1 − keep)·g."""
    cast = out.dtype.type
    np.multiply(before, cast(keep), out=out)
    to, of = flat(out), flat(g)
    for run in runs(out):
        to[run] += cast(1.0 - keep) * of[run]


def divide(direction: Array, turned: Array, squares: Array, keep: float, eps: float) -> None:
    """direction ← direction/(√(keep·squares + (1 − keep)·turned²) + ε)."""
    cast = direction.dtype.type
    to, r, v = flat(direction), flat(turned), flat(squares)
    for run in runs(direction):
        now = cast(keep) * v[run] + cast(1.0 - keep) * r[run] * r[run]
        to[run] /= np.sqrt(now) + cast(eps)


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
