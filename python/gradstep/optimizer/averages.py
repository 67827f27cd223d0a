"""Parameters and their averages, exchanged in place."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import starmap
from operator import setitem
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gradstep.arrays.memory import flat, held
from gradstep.arrays.parameters import check_writeable

if TYPE_CHECKING:
    from gradstep.optimizer.layout import Layout

Array = NDArray[Any]
Pair = tuple[Array, Array]
Move = tuple[Any, Any, Any]

RUN = 16384  # elements exchanged at a time, so that the copy stays in cache


def pairs_of(layout: Layout) -> list[Pair]:
    """Every average with its parameter; an error where they cannot be exchanged."""
    if not layout.ema:
        raise RuntimeError("there are no averages to swap in; set ema_decay")
    layout.check_params(layout.ema)
    for name, average in layout.ema.items():
        check_writeable(f"the average of {name!r}", average)
    return [(flat(layout.params[name]), flat(average)) for name, average in layout.ema.items()]


@contextmanager
def exchanged(pairs: Sequence[Pair]) -> Iterator[None]:
    """The values of both swapped, to the bit, and swapped back at the end.

    Meanwhile neither can be resized.
    """
    swaps, swapped = moves(pairs), [False]
    memory = held(array for pair in pairs for array in pair)
    try:
        make([*swaps, (swapped, 0, True)])
        yield
    finally:
        if swapped[0]:
            make(swaps)
        del memory


def moves(pairs: Sequence[Pair]) -> list[Move]:
    """The assignments ``to[where] = value`` that swap the values of both."""
    held = np.empty(RUN * 8, np.uint8)
    found: list[Move] = []
    for ours, theirs in pairs:
        for start in range(0, ours.size, RUN):
            our, their = ours[start : start + RUN], theirs[start : start + RUN]
            kept = held[: our.nbytes].view(our.dtype)
            found += [(kept, ..., our), (our, ..., their), (their, ..., kept)]
    return found


def make(assignments: Sequence[Move]) -> None:
    """All of them in one call, so that an interrupt comes before them or after them."""
    deque(starmap(setitem, assignments), maxlen=0)
