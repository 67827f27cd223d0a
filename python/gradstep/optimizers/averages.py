"""Parameters and their averages, exchanged in place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.params import flat

Array = NDArray[Any]

RUN = 16384  # elements exchanged at a time, so that the copy stays in cache


def exchange(params: Mapping[str, Array], averages: Mapping[str, Array]) -> None:
    """Swap the values of every average with those of its parameter, to the bit."""
    held = np.empty(RUN * 8, np.uint8)
    for name, average in averages.items():
        ours, theirs = flat(average), flat(params[name])
        for start in range(0, ours.size, RUN):
            run = slice(start, start + RUN)
            kept = held[: ours[run].nbytes].view(ours.dtype)
            kept[...] = ours[run]
            ours[run] = theirs[run]
            theirs[run] = kept
