"""Parameters and their averages, exchanged in place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from operator import setitem
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gradstep.arrays.at_once import Change, at_once, filled
from gradstep.arrays.memory import flat, held
from gradstep.arrays.parameters import check_writeable
from gradstep.optimizer.half_copies import bits, rounded
from gradstep.optimizer.storage import stored, values_of

if TYPE_CHECKING:
    from gradstep.optimizer.layout import Layout

Array = NDArray[Any]
Pair = tuple[Array, Array]

RUN = 16384  # elements exchanged at a time, so that the copy stays in cache


def pairs_of(layout: Layout) -> list[Pair]:
    """Every average with its parameter, and with that's copy; an error where they cannot be
    exchanged."""
    if not layout.ema:
        raise RuntimeError("there are no averages to swap in; set ema_decay")
    layout.check_params(layout.ema)
    for name, average in layout.ema.items():
        check_writeable(f"the average of {name!r}", average)
    pairs = [(flat(layout.params[name]), flat(average)) for name, average in layout.ema.items()]
    for name, average in layout.ema.items():
        if (copy := layout.copies.arrays.get(name)) is not None:
            values = values_of(stored(average, layout.formats[name].get("ema")))
            pairs.append((bits(copy), bits(rounded(values, copy))))
    return pairs


def exchanged(pairs: Sequence[Pair]) -> Iterator[None]:
    """The values of both swapped, to the bit, and swapped back at the end.

    Meanwhile neither can be resized.
    """
    swaps, swapped = exchanges(pairs), [False]
    swap = at_once([*swaps, partial(setitem, swapped, 0, True)])
    back = at_once(swaps)
    memory = held(array for pair in pairs for array in pair)
    try:
        swap()
        yield
    finally:
        if swapped[0]:
            back()
        del memory


def exchanges(pairs: Sequence[Pair]) -> list[Change]:
    """The assignments that swap the values of both."""
    kept = np.empty(RUN * 8, np.uint8)
    found: list[Change] = []
    for ours, theirs in pairs:
        for start in range(0, ours.size, RUN):
            our, their = ours[start : start + RUN], theirs[start : start + RUN]
            aside = kept[: our.nbytes].view(our.dtype)
            found += [filled(aside, our), filled(our, their), filled(their, aside)]
    return found
