"""Values for copies in half precision, rounded as steps round them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.arrays.at_once import Change, filled
from gradstep.arrays.copies import Copies, format_of
from gradstep.arrays.memory import flat, memory_order
from gradstep.arrays.stored import Stored
from gradstep.reference.places import place_of

Array = NDArray[Any]

RUN = 16384  # elements rounded at a time, so that what lies between stays in cache


def write(copies: Copies, params: Mapping[str, Array]) -> None:
    """Give all copies the values of their parameters."""
    for name, copy in copies.arrays.items():
        fill(copy, params[name])


def changes(copies: Copies, params: Mapping[str, Array]) -> list[Change]:
    """The changes that give all copies the values of these parameters."""
    return [filled(copy, rounded(params[name], copy)) for name, copy in copies.arrays.items()]


def rounded(values: Array, copy: Array) -> Array:
    """`values` as `copy` would hold them."""
    new = np.empty_like(copy)
    fill(new, values)
    return new


def fill(copy: Array, values: Array) -> None:
    place = place_of(Stored(copy, format_of(copy)))
    in_order = flat(np.asarray(values, order=memory_order(copy)))
    with np.errstate(all="ignore"):
        for start in range(0, copy.size, RUN):
            run = slice(start, start + RUN)
            for change in place.write(run, in_order[run], (0, 0)):
                change()


def bits(copy: Array) -> Array:
    """Its elements in memory order, as integers: NumPy moves them as they are."""
    return flat(copy).view(np.uint16)
