"""A slot of matrices that is kept as two factors, as csrc/engine/factored.hpp has it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.arrays.at_once import Change, filled
from gradstep.arrays.memory import flat
from gradstep.arrays.stored import Factored, Stored
from gradstep.reference.draws import Drawn
from gradstep.reference.measures import TILE_ROWS, of_alternating, of_runs, squares
from gradstep.reference.places import Place, place_of

Array = NDArray[Any]


class FactoredPlace(Place):
    """Read as 1/√ of the products of this step's factors, and written by none."""

    def __init__(self, factored: Factored, param: Place) -> None:
        self.dtype, self.size = param.dtype, param.size
        self._factored = factored
        *matrices, self._rows, self._columns = param.shaped.shape
        self._matrices = int(np.prod(matrices, dtype=np.int64))
        self._by_rows = param.shaped.flags.c_contiguous
        self._next: list[Array] = []

    def read(self, run: slice) -> Array:
        return self._products[run]

    def write(self, run: slice, values: Array, drawn: Drawn) -> list[Change]:
        return []

    def average(self, grad: Array, scale: Any, take: Any, least: Any) -> None:
        """Make the factors of this step, of gradients that are scaled by `scale`."""
        count, size = self._matrices, self._rows * self._columns
        length, per_matrix = self._columns, self._rows
        if not self._by_rows:
            length, per_matrix = per_matrix, length
        terms = squares(grad)
        lines = of_runs(terms, count * per_matrix, length)
        within = np.concatenate(
            [of_alternating(terms, m * size, length, per_matrix, TILE_ROWS) for m in range(count)]
        )
        of_lines, of_within = scale * scale / length * lines, scale * scale / per_matrix * within
        means = (of_lines, of_within) if self._by_rows else (of_within, of_lines)
        cast, self._next = self.dtype.type, []
        for kept, mean in zip(self._factored, means, strict=True):
            values = kept.reshape(-1)
            self._next.append(values + cast(take) * (mean.astype(self.dtype) - values))
        rows, columns = self._next
        of_matrices = rows.reshape(count, self._rows)
        mean_rows = np.cumsum(of_matrices, axis=1, dtype=np.float64)[:, -1] / self._rows
        divisors = np.where(mean_rows < least, least, mean_rows)
        of_rows = self._inverse_roots(of_matrices, divisors[:, None])
        of_columns = self._inverse_roots(columns.reshape(count, 1, self._columns), 1.0)
        products = of_rows[:, :, None] * of_columns
        self._products = flat(products if self._by_rows else products.transpose(0, 2, 1).copy())

    def _inverse_roots(self, of: Array, over: Any) -> Array:
        return (1.0 / np.sqrt(of.astype(np.float64) / over)).astype(self.dtype)

    def keep(self) -> list[Change]:
        """The changes that keep them."""
        pairs = zip(self._factored, self._next, strict=True)
        return [filled(kept.reshape(-1), values) for kept, values in pairs]


def place_beside(slot: Array | Stored | Factored, param: Place) -> Place:
    return FactoredPlace(slot, param) if isinstance(slot, Factored) else place_of(slot)
