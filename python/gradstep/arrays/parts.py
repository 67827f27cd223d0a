"""Parts of tensors: of a whole, the elements that one process updates."""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

from numpy.typing import NDArray

from gradstep.arrays.memory import memory_order

Array = NDArray[Any]

BLOCK = 1024  # elements: parts begin and end at multiples of so many, or where the whole ends


class Part(NamedTuple):
    """Which elements of a whole tensor a flat array holds.

    Parameters
    ----------
    first : int
        The number of its first element, a multiple of :data:`BLOCK`. Elements are numbered as they
        follow one another in the memory of the whole.
    shape : tuple of int
        That of the whole.
    order : "C" or "F"
        The memory order of the whole.
    """

    first: int
    shape: tuple[int, ...]
    order: Literal["C", "F"] = "C"

    @property
    def total(self) -> int:
        """The elements of the whole."""
        return math.prod(self.shape)


def whole(array: Array) -> Part:
    """A tensor that is all here."""
    return Part(0, array.shape, memory_order(array))


def check_part(array: Array, part: Part) -> None:
    """Raise a ValueError where an array cannot be this part of a tensor."""
    first, end, total = part.first, part.first + array.size, part.total
    in_blocks = first % BLOCK == 0 and (end % BLOCK == 0 or end == total)
    legal = array.ndim == 1 and (in_blocks or first == end) and 0 <= first <= end <= total
    if not legal:
        raise ValueError(
            f"elements [{first}, {end}) of {total}, in {array.ndim} axes, are no part; expected "
            f"one axis, and borders at multiples of {BLOCK} elements or at the end"
        )
