"""Sums of squares, added up in the engine's order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.arrays.memory import flat

Array = NDArray[Any]

NORM_BLOCK = 1024  # elements whose squares are summed together, from each tensor's start
NORM_LANES = 16  # sums kept side by side within a block
RUN = 16 * NORM_BLOCK  # elements worked on at a time


def sum_of_squares(arrays: Sequence[Array]) -> float:
    """The sum of all squares, in the order that the engine adds them in."""
    total = 0.0
    for array in arrays:
        total += tensor_sum(flat(array))
    return total


def tensor_sum(x: Array) -> float:
    """That of one tensor, flat."""
    total = 0.0
    for block in block_sums(x):
        total += block
    return total


def block_sums(x: Array) -> list[float]:
    sums: list[float] = []
    for start in range(0, x.size, RUN):
        run = x[start : start + RUN].astype(np.float64)
        squares = np.zeros(-(-run.size // NORM_BLOCK) * NORM_BLOCK)
        np.multiply(run, run, out=squares[: run.size])
        rows = squares.reshape(-1, NORM_BLOCK // NORM_LANES, NORM_LANES)
        lanes = np.zeros((len(rows), NORM_LANES))
        for row in range(rows.shape[1]):
            lanes += rows[:, row]
        half = NORM_LANES // 2
        while half:
            lanes[:, :half] += lanes[:, half : 2 * half]
            half //= 2
        sums += lanes[:, 0].tolist()
    return sums
