"""State arrays, made as their slots are declared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.arrays.memory import allocate
from gradstep.method.slots import Slot

Array = NDArray[Any]


def allocate_slot(slot: Slot, param: Array, h: Mapping[str, Any], place: int) -> Array:
    """The array of `slot` for `param`, the `place`-th beside it, as it is before the first step."""
    shape, dtype, first = slot.shape(param.shape), slot.dtype(param.dtype.name), slot.first_value(h)
    if shape == param.shape and dtype == param.dtype.name:
        return allocate(param, first, place)
    return np.full(shape, first, dtype)
