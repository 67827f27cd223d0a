"""Sums over the elements of tensors, in the engine's order: csrc/engine/measure.hpp says which."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.arrays.memory import flat
from gradstep.arrays.parts import BLOCK
from gradstep.reference.arithmetic import squared

Array = NDArray[Any]
Terms = Callable[[slice], Array]  # of a run of elements, what is added up, in float64

NORM_BLOCK = BLOCK  # elements that are summed together, from each tensor's start
NORM_LANES = 16  # sums kept side by side within a block
UNIT_ROWS = 256  # rows of alternating units that are summed together
TILE_ROWS = 64  # the same where their own sums are taken, too
RUN = 16 * NORM_BLOCK  # elements worked on at a time


def squares(x: Array) -> Terms:
    """Of a flat array."""

    def terms(run: slice) -> Array:
        return squared(x[run])

    return terms


def of_elements(terms: Terms, begin: int, end: int) -> float:
    """The sum over elements [begin, end): of a tensor, or a unit in one piece."""
    total = 0.0
    for start in range(begin, end, RUN):
        for block in block_sums(terms(slice(start, min(start + RUN, end)))):
            total += block
    return total


def block_sums(terms: Array) -> list[float]:
    padded = np.zeros(-(-terms.size // NORM_BLOCK) * NORM_BLOCK)
    padded[: terms.size] = terms
    rows = padded.reshape(-1, NORM_BLOCK // NORM_LANES, NORM_LANES)
    lanes = np.zeros((len(rows), NORM_LANES))
    for row in range(rows.shape[1]):
        lanes += rows[:, row]
    half = NORM_LANES // 2
    while half:
        lanes[:, :half] += lanes[:, half : 2 * half]
        half //= 2
    sums: list[float] = lanes[:, 0].tolist()
    return sums


def of_runs(terms: Terms, count: int, size: int) -> Array:
    """The sums over so many runs of `size` elements, one after another."""
    return np.array([of_elements(terms, u * size, (u + 1) * size) for u in range(count)])


def of_alternating(terms: Terms, begin: int, count: int, size: int, rows: int = UNIT_ROWS) -> Array:
    """The sums over so many slices of `size` elements that alternate from `begin` on."""
    sums = np.zeros(count)
    for first in range(0, size, rows):
        of_rows = np.zeros(count)
        for row in range(first, min(first + rows, size)):
            of_rows += terms(slice(begin + row * count, begin + (row + 1) * count))
        sums += of_rows
    return sums


def sum_of_squares(arrays: Sequence[Array]) -> float:
    """Over all arrays."""
    total = 0.0
    for array in arrays:
        total += of_elements(squares(flat(array)), 0, array.size)
    return total
