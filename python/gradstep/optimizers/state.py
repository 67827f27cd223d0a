"""State arrays: which ones a rule needs, and where they lie in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.params import address, memory_order

Array = NDArray[Any]

CACHE_LINE = 64
STAGGER = 5 * 1024  # bytes between the places of one parameter's arrays
STAGGER_FROM = 64 * 1024  # bytes


def allocate(param: Array, fill: float, place: int) -> Array:
    """A state array that goes with `param`, as the `place`-th beside it.

    Zeros are untouched pages, which the first step places near the threads that use them. Large
    arrays start at different distances from page borders: arrays of one size, allocated one after
    another, otherwise get in each other's way (docs/decisions/0005-state-placement.md). All start
    at their parameter's place within a cache line. Being views, they cannot be resized.
    """
    lead = (place + 1) * STAGGER if param.nbytes >= STAGGER_FROM else 0
    memory = np.zeros(param.nbytes + lead + CACHE_LINE, np.uint8)
    start = lead + (address(param) - address(memory) - lead) % CACHE_LINE
    array: Array = memory[start : start + param.nbytes].view(param.dtype)
    if fill != 0.0:
        array[...] = fill
    return array.reshape(param.shape, order=memory_order(param))
