"""Gradients that are stored in another way than their parameters, as the engine reads them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.arrays.memory import memory_order

Array = NDArray[Any]


def beside(param: Array, gradient: Array) -> Array:
    """`gradient` in the dtype and the memory order of its parameter."""
    order = memory_order(param)
    contiguous = gradient.flags.c_contiguous if order == "C" else gradient.flags.f_contiguous
    if gradient.dtype is param.dtype and contiguous and gradient.flags.aligned:
        return gradient
    copy = np.empty(param.shape, param.dtype, order)
    with np.errstate(all="ignore"):
        copy[...] = gradient
    return copy
