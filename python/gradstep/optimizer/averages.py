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
from gradstep.optimizer.decoding import decoded
from gradstep.optimizer.half_copies import bits
from gradstep.optimizer.storage import format_of_param, rounded_as

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
    pairs = [pair_of(layout, name) for name in layout.ema]
    for name in layout.ema:
        if (copy := layout.copies.arrays.get(name)) is not None:
            pairs.append((bits(copy), bits(rounded_as(copy, decoded(layout, name, "ema")))))
    return pairs


def pair_of(layout: Layout, name: str) -> Pair:
    """A parameter and its average, or that rounded to the parameter's format if it has another."""
    param = layout.params[name]
    if layout.formats[name]["ema"] == format_of_param(param, "nearest"):
        average = flat(layout.ema[name])
        return flat(param).view(average.dtype), average
    return flat(param), flat(rounded_as(param, decoded(layout, name, "ema")))


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
