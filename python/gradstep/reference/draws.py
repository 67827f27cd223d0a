"""What rounding draws, as csrc/engine/packing.hpp has it.

A draw is a function of the seed, the step count of the tensor, the name of the parameter, what the
array is to it (the parameter, its average, a slot) and the element's number in C order.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gradstep.arrays.parts import Part

Array = NDArray[Any]

# What arrays are to their parameter; slots follow.
PARAM, AVERAGE, FIRST_SLOT = 0, 1, 2
WEYL = np.uint32(0x9E3779B9)  # 2^32/φ


class Drawn(Protocol):
    """Of a run of elements of an array."""

    def hashed(self) -> Array:
        """16 uniform bits for each, in memory's order."""

    def dithered(self, numbered_in_memory: bool = False) -> Array:
        """32 bits for each, from Weyl's sequence: over the steps, each element's are uniform and
        independent; within one they spread as evenly as can be.
        """


class Draws:
    """Of a step of a tensor: `draws` stands for the step, `key` for the parameter."""

    def __init__(self, draws: int, key: int, part: Part) -> None:
        z = draws ^ key
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
        z ^= z >> 31
        self.first, self.second = z % 2**32, z >> 32
        self.part = part


class OfRun:
    """Draws for the elements `run` of the array that is `array` to its parameter."""

    def __init__(self, draws: Draws, array: int, run: slice) -> None:
        self._part, self._run = draws.part, run
        self._first = np.uint32((draws.first + array * draws.second) % 2**32)
        self._second = np.uint32(draws.second)

    def hashed(self) -> Array:
        x = self._numbers() ^ self._first
        x = (x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D) + self._second
        x = (x ^ (x >> np.uint32(15))) * np.uint32(0x846CA68B)
        return x >> np.uint32(16)

    def dithered(self, numbered_in_memory: bool = False) -> Array:
        return self._numbers(numbered_in_memory) * WEYL + self._first

    def _numbers(self, in_memory: bool = False) -> Array:
        first, shape, order = self._part
        numbers = np.arange(first + self._run.start, first + self._run.stop)
        if order == "F" and not in_memory:
            numbers = np.ravel_multi_index(np.unravel_index(numbers, shape, "F"), shape)
        return numbers.astype(np.uint32)


class Halfway:
    """Draws with which all that is dithered is rounded to nearest."""

    def hashed(self) -> Array:
        raise NotImplementedError("what is rounded to nearest is not of a stochastic format")

    def dithered(self, numbered_in_memory: bool = False) -> Array:
        return np.array([0x80000000], np.uint32)
