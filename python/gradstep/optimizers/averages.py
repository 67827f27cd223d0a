"""Parameters and their averages, exchanged in place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.params import check_writeable, flat

Array = NDArray[Any]
Pair = tuple[Array, Array]

RUN = 16384  # elements exchanged at a time, so that the copy stays in cache


def pairs_of(params: Mapping[str, Array], averages: Mapping[str, Array]) -> list[Pair]:
    """Every average with its parameter; an error where they cannot be exchanged."""
    if not averages:
        raise RuntimeError("there are no averages to swap in; set ema_decay")
    for name, average in averages.items():
        check_writeable(f"parameter {name!r}", params[name])
        check_writeable(f"the average of {name!r}", average)
    return [(flat(params[name]), flat(average)) for name, average in averages.items()]


def exchange(pairs: Sequence[Pair]) -> None:
    """Swap the values of both, to the bit."""
    held = np.empty(RUN * 8, np.uint8)
    for ours, theirs in pairs:
        for start in range(0, ours.size, RUN):
            run = slice(start, start + RUN)
            kept = held[: ours[run].nbytes].view(ours.dtype)
            kept[...] = ours[run]
            ours[run] = theirs[run]
            theirs[run] = kept
