"""Where arrays lie in memory, and where those of the state are put."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import Any, Literal
from weakref import finalize, ref

import numpy as np
from numpy.typing import DTypeLike, NDArray

Array = NDArray[Any]

CACHE_LINE = 64
PAGE = 4096
# Where each array of a larger parameter begins within its page, from where the parameter does; for
# a still larger one each is a page further on than the one before it, too.
FROM_PARAM = (1024, 2048, 3072, 1536, 2560, 512, 3584, 256)
PLACED_FROM, APART_FROM = 16 * 1024, 64 * 1024  # bytes


def memory_order(array: Array) -> Literal["C", "F"]:
    """The order of a contiguous array; C for one that is contiguous in both."""
    return "C" if array.flags.c_contiguous else "F"


def flat(array: Array) -> Array:
    """A contiguous array as a one-dimensional view, in memory order."""
    return array.reshape(-1, order=memory_order(array))


def bits_of(array: Array) -> Array:
    """Its elements in memory order, as integers: they are moved as they are."""
    return flat(array).view(f"u{array.dtype.itemsize}")


def address(array: Array) -> int:
    where: int = array.__array_interface__["data"][0]
    return where


def byte_range(array: Array) -> tuple[int, int]:
    """The addresses [first, last) between which `array` lies."""
    low = high = address(array)
    if array.size == 0:
        return low, low
    for length, stride in zip(array.shape, array.strides, strict=True):
        if stride < 0:
            low += (length - 1) * stride
        else:
            high += (length - 1) * stride
    return low, high + array.itemsize


def allocate(param: Array, fill: float, place: int, dtype: DTypeLike | None = None) -> Array:
    """A state array that goes with `param`, as the `place`-th beside it; of its dtype by default.

    Zeros are untouched pages, which the first step places near the threads that use them. All
    start at their parameter's place within a cache line, and large ones at another place within a
    page: arrays walked at equal places get in each other's way, be they in cache or not
    (docs/decisions/0005-state-placement.md). Neither they nor their memory can be resized.
    """
    dtype = param.dtype if dtype is None else np.dtype(dtype)
    nbytes = param.size * dtype.itemsize
    border, shift = CACHE_LINE, 0
    if nbytes >= PLACED_FROM:
        border, shift = PAGE, FROM_PARAM[place % len(FROM_PARAM)]
    lead = (place + 1) * PAGE if nbytes >= APART_FROM else 0
    memory = unresizable(np.zeros(nbytes + lead + border, np.uint8))
    start = lead + (address(param) + shift - address(memory)) % border
    array: Array = memory[start : start + nbytes].view(dtype)
    if fill != 0.0:
        array[...] = fill
    return array.reshape(param.shape, order=memory_order(param))


def unresizable(memory: Array) -> Array:
    """`memory`, with a weak reference for life: NumPy never resizes what has one."""
    finalize(memory, int).atexit = False
    return memory


def held(views: Iterable[Array]) -> list[ref[Array]]:
    """While the result lives, the memory that `views` are of cannot be resized.

    NumPy refuses to resize an array with a weak reference to it, even with ``refcheck=False``.
    """
    return [ref(base) for view in views for base in bases(view)]


def bases(view: Array) -> Iterator[Array]:
    """The arrays whose memory it is on: subclasses may come between it and the owner."""
    while isinstance(base := view.base, np.ndarray):
        yield base
        view = base


class Ranges:
    """The memory of arrays none of which overlap."""

    def __init__(self, arrays: Iterable[Array]) -> None:
        ranges = ((*byte_range(array), array) for array in arrays if array.size)
        self._ranges = sorted(ranges, key=lambda r: r[:2])

    def shared_with(self, array: Array) -> bool:
        """Whether one of them has an element in common with `array`."""
        return any(np.shares_memory(array, own) for own in self.near(array))

    def near(self, array: Array) -> Iterator[Array]:
        """Those between the first and the last byte of `array`."""
        begin, end = byte_range(array)
        # They are disjoint, so of those that start below `begin` only the last can reach into it.
        first = max(bisect_left(self._ranges, begin, key=lambda r: r[0]) - 1, 0)
        for low, high, own in self._ranges[first:]:
            if low >= end:
                return
            if begin < high:
                yield own
