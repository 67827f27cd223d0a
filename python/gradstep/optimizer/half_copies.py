"""Values for copies in half precision, rounded as steps round them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.arrays.at_once import Change, filled
from gradstep.arrays.copies import Copies
from gradstep.arrays.memory import flat
from gradstep.optimizer.storage import fill, format_of_param, rounded_as, stored

Array = NDArray[Any]


def write(copies: Copies, params: Mapping[str, Array]) -> None:
    """Give all copies the values of their parameters."""
    for name, copy in copies.arrays.items():
        fill(stored(copy, format_of_param(copy, "nearest")), params[name])


def changes(copies: Copies, params: Mapping[str, Array]) -> list[Change]:
    """The changes that give all copies the values of these parameters."""
    return [filled(copy, rounded_as(copy, params[name])) for name, copy in copies.arrays.items()]


def bits(copy: Array) -> Array:
    """Its elements in memory order, as integers: NumPy moves them as they are."""
    return flat(copy).view(np.uint16)
