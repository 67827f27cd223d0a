"""A parameter table that computes directions before it writes anything."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gradstep.arrays.advice import is_torch
from gradstep.arrays.at_once import Change, at_once
from gradstep.arrays.settling import settled
from gradstep.directions.matrices import Matrix, Step
from gradstep.directions.muon import MuonDirections
from gradstep.directions.products import BY_NUMPY, Products
from gradstep.directions.soap import SoapDirections
from gradstep.reference.steps import write_all

Array = NDArray[Any]
Taken = tuple[float | None, bool, tuple[int, ...]]

OF_RULE: dict[str, Callable[[list[Matrix], Products], Any]] = {
    "muon": MuonDirections,
    "soap": SoapDirections,
}


class Evaluated(NamedTuple):
    """What a row was made of."""

    h: Mapping[str, Any]
    t: int


class DirectedRows(list[Any]):
    """Rows of a step, and what each was made of."""

    of: list[Evaluated]


class DirectedTable:
    """A table as fronts take it, some of whose tensors step in directions.

    Parameters
    ----------
    table
        The parameter table over all tensors. Workspaces are among the slots of those.
    matrices
        The tensors with directions.
    reader
        What makes gradients readable, and raises where they are none.
    products
        Who multiplies.
    """

    def __init__(
        self,
        table: Any,
        matrices: Sequence[Matrix],
        reader: Callable[[int, Any], Array],
        products: Products,
    ) -> None:
        self._table = table
        self._reader = reader
        of_rule: dict[str, list[Matrix]] = {}
        for matrix in matrices:
            of_rule.setdefault(matrix.rule, []).append(matrix)
        self._parts = [
            (of_one, OF_RULE[rule](of_one, products)) for rule, of_one in of_rule.items()
        ]

    @property
    def last_step(self) -> Any:
        return self._table.last_step

    def assign(self, rules: Sequence[tuple[str, bool, bool]], row_of: Sequence[int]) -> None:
        self._table.assign(rules, row_of)
        self._row_of = list(row_of)

    def start_from(
        self, bits: Sequence[Array | None], displaced: list[Callable[[], object]]
    ) -> None:
        displaced[0]()

    def step(
        self,
        leaves: Sequence[object],
        rows: DirectedRows,
        grad_scale: float,
        with_norm: bool,
        skip_nonfinite: bool,
    ) -> Taken:
        grads = settled(leaves, self._reader)
        return self._take(grads, rows, grad_scale, with_norm, skip_nonfinite)

    def step_tensors(
        self,
        tensors: Any,
        leaves: Sequence[object] | None,
        rows: DirectedRows,
        grad_scale: float,
        with_norm: bool,
        skip_nonfinite: bool,
        threads: int,
    ) -> Taken:
        grads = settled(tensors.gradients() if leaves is None else leaves, self._reader)
        return self._take(grads, rows, grad_scale, with_norm, skip_nonfinite, tensors, threads)

    def _take(
        self,
        grads: list[Array | None],
        rows: DirectedRows,
        grad_scale: float,
        with_norm: bool,
        skip_nonfinite: bool,
        *of_tensors: Any,
    ) -> Taken:
        table, done = self._table, list[None]()
        self._changes: list[Change] = []
        abort(table)  # what interrupts have left
        with np.errstate(all="ignore"):
            try:
                table.begin(rows, grad_scale)
                norm = table.measure(grads) if with_norm else None
                finite = not skip_nonfinite or norm is None or math.isfinite(norm)
                if not finite or not self._compute(grads, rows, skip_nonfinite):
                    return norm, True, table.abort()
                apply = partial(table.apply, 0, grads, *of_tensors)
                at_once([apply, *counted(self._changes, done), partial(table.end)])()
                return norm, False, tuple(table.last_step[1])
            except BaseException:
                if table.last_step[0] is not rows:
                    abort(table)
                if table.last_step[0] is rows:
                    rest = self._changes[len(done) :]
                    write_all([partial(list, (change,)) for change in rest])
                raise

    def _compute(self, grads: list[Array | None], rows: DirectedRows, skip: bool) -> bool:
        """Whether all directions are finite; with `skip` no error where they are not."""
        for matrices, directions in self._parts:
            steps = [self._step(m, grads[m.place], rows) for m in matrices]
            directions.compute(steps)
            for matrix, step in zip(matrices, steps, strict=True):
                if step.grad is None:
                    continue
                matrix.check_state()
                if is_finite(matrix.workspaces["direction"]) and directions.finite(matrix):
                    continue
                if skip:
                    return False
                raise FloatingPointError(
                    f"the direction of parameter {matrix.name!r} is not finite, as its gradient or "
                    "its momentum is not, or overflows; nothing has been changed. Look at the "
                    "gradient, or leave such steps out: skip_nonfinite=True"
                )
            self._changes += directions.changes(steps)
        return True

    def _step(self, matrix: Matrix, grad: Array | None, rows: DirectedRows) -> Step:
        row = self._row_of[matrix.place]
        h, t = rows.of[row]
        clip_value = rows[row][0][0][-1]
        return Step(grad, self._table.scale(matrix.place), clip_value, h, t)


def abort(table: Any) -> None:
    """End a step that may have ended already."""
    with suppress(RuntimeError):
        table.abort()


def counted(changes: Sequence[Change], done: list[None]) -> list[Change]:
    """The same, each with the change that says that it has been made."""
    made: Change = partial(done.append, None)
    return [each for change in changes for each in (change, made)]


def is_finite(array: Array) -> bool:
    return bool(np.isfinite(array).all())


def directed(
    table: Any,
    matrices: Sequence[Matrix],
    reader: Callable[[int, Any], Array],
    params: Iterable[Array],
    products_for: Callable[[Iterable[Array]], Products],
) -> Any:
    """`table` where there are no matrices with directions."""
    return DirectedTable(table, matrices, reader, products_for(params)) if matrices else table


def products_for(params: Iterable[Array]) -> Products:
    """PyTorch's where parameters are views of its tensors."""
    if not any(map(views_torch, params)):
        return BY_NUMPY
    from gradstep.directions.by_torch import ByTorch

    return ByTorch()


def views_torch(array: Array) -> bool:
    owner: Any = array
    while isinstance(owner, np.ndarray):
        owner = owner.base
    return is_torch(owner)
