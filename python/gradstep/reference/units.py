"""A tensor's units, and the blocks that sums over them are added up from.

A unit is a slice along the first or the last axis. Where units lie in one piece, a block is of
`NORM_BLOCK` elements from the unit's start. Where they alternate element by element, it is of
`UNIT_ROWS` rows, within which each unit's elements are added row by row. Blocks are added in order.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.arrays.parts import Part
from gradstep.reference.measures import NORM_BLOCK, RUN, UNIT_ROWS, Terms, block_sums, squares

Array = NDArray[Any]


class Units:
    """The units of a tensor of which a part is here; without an axis, the tensor as one unit."""

    def __init__(self, part: Part, axis: int | None = None) -> None:
        several = axis is not None and len(part.shape) > 1 and part.total > 0
        self.count = part.shape[axis] if several else 1  # type: ignore[index]
        self._length = part.total // self.count
        self._alternating = self.count > 1 and (part.order == "C") != (axis == 0)
        self._first, self._total = part.first, part.total

    @property
    def sum_count(self) -> int:
        """How many sums all blocks of the whole give."""
        if self._alternating:
            return -(-self._length // UNIT_ROWS) * self.count
        return -(-self._length // NORM_BLOCK) * self.count

    def block_sums(self, terms: Terms, size: int) -> Array:
        """Of the blocks that lie within the part, which has `size` elements: of `UNIT_ROWS` rows a
        sum for each unit."""
        sums: list[float] = []
        for begin, end in self._in_blocks(size):
            if self._alternating:
                sums += self._sums_of_rows(terms, begin, end)
            else:
                for start in range(begin, end, RUN):
                    sums += block_sums(terms(slice(start, min(start + RUN, end))))
        return np.array(sums)

    def add(self, sums: Array) -> Array:
        """The sum over every unit, of all that :meth:`block_sums` gives for the whole."""
        if self._alternating:
            totals = np.zeros(self.count)
            for of_rows in sums.reshape(-1, self.count):
                totals += of_rows
            return totals
        per_unit = sums.reshape(self.count, -1)
        totals = np.zeros(self.count)
        for k in range(per_unit.shape[1]):
            totals += per_unit[:, k]
        return totals

    def torn(self, size: int) -> tuple[int, int] | None:
        """The elements of the whole that make the block which begins in the part, of `size`
        elements, and ends beyond it; None if there is none."""
        end = self._first + size
        if size == 0 or end == self._total:
            return None
        begin, last = self._block_at(end)
        return (begin, last) if self._first <= begin < end else None

    def torn_sums(self, values: Array) -> Array:
        """Of the squares of all elements of a torn block."""
        terms = squares(values)
        if self._alternating:
            return np.array(self._sums_of_rows(terms, 0, values.size))
        return np.array(block_sums(terms(slice(0, values.size))))

    def of_elements(self, size: int) -> Array:
        """The numbers of the units that the part's elements belong to."""
        numbers = np.arange(self._first, self._first + size)
        return numbers % self.count if self._alternating else numbers // self._length

    def _block_at(self, element: int) -> tuple[int, int]:
        """The borders of the block that an element of the whole is in."""
        if self._alternating:
            size = UNIT_ROWS * self.count
            begin = element // size * size
            return begin, min(begin + size, self._total)
        unit = element // self._length * self._length
        begin = unit + (element - unit) // NORM_BLOCK * NORM_BLOCK
        return begin, min(begin + NORM_BLOCK, unit + self._length)

    def _in_blocks(self, size: int) -> Iterator[tuple[int, int]]:
        """Ranges within the part that blocks fill: one of rows, or all that one unit has."""
        first, end = self._first, self._first + size
        if self._alternating:
            rows = UNIT_ROWS * self.count
            for begin in range(-(-first // rows) * rows, end, rows):
                if (last := min(begin + rows, self._total)) <= end:
                    yield begin - first, last - first
            return
        for start in range(first - first % max(self._length, 1), end, self._length or 1):
            begin = start + -(-max(first - start, 0) // NORM_BLOCK) * NORM_BLOCK
            last = start + self._length
            if last > end:
                last = end - (end - start) % NORM_BLOCK
            if begin < last:
                yield begin - first, last - first

    def _sums_of_rows(self, terms: Terms, begin: int, end: int) -> list[float]:
        sums = np.zeros(self.count)
        for row in range(begin, end, self.count):
            sums += terms(slice(row, row + self.count))
        found: list[float] = sums.tolist()
        return found
