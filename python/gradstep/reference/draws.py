"""What stochastic rounding draws, as csrc/engine/packing.hpp has it.

A draw is a function of the seed, the step count of the tensor, the name of the parameter, what the
array is to it (the parameter, its average, a slot) and the element's number in C order.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.arrays.memory import memory_order

Array = NDArray[Any]

# What arrays are to their parameter; slots follow.
PARAM, AVERAGE, FIRST_SLOT = 0, 1, 2


class Draws:
    """Of a step of a tensor: `draws` stands for the step, `key` for the parameter."""

    def __init__(self, draws: int, key: int, param: Array) -> None:
        z = draws ^ key
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
        z ^= z >> 31
        self._first, self._second = z % 2**32, z >> 32
        self._param = param

    def bits(self, role: int, run: slice) -> Array:
        """16 uniform bits for each of these elements, in memory's order."""
        x = self._numbers(run) ^ np.uint32(self._first)
        second = np.uint32((self._second + role * 0x9E3779B9) % 2**32)
        x = (x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D) + second
        x = (x ^ (x >> np.uint32(15))) * np.uint32(0x846CA68B)
        return x >> np.uint32(16)

    def _numbers(self, run: slice) -> Array:
        shape = self._param.shape
        numbers = np.arange(run.start, min(run.stop, self._param.size))
        if memory_order(self._param) == "F":
            numbers = np.ravel_multi_index(np.unravel_index(numbers, shape, "F"), shape)
        return numbers.astype(np.uint32)
