"""Rprop. The equations stand in csrc/rules/rprop.hpp."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.reference.arithmetic import clamp, maximum
from gradstep.reference.rules import rule

Array = NDArray[Any]


@rule("prev", "step_size")
def rprop(
    g: Array,
    prev: Array,
    step_size: Array,
    *,
    eta_minus: Any,
    eta_plus: Any,
    step_min: Any,
    step_max: Any,
) -> Array:
    one, zero = g.dtype.type(1), g.dtype.type(0)
    product = g * prev
    decided = np.where(np.abs(product) > 0, one, zero)
    direction = np.copysign(decided, product)
    up, down = maximum(direction, zero), maximum(-direction, zero)
    factor = up * eta_plus + down * eta_minus + (one - decided)
    step_size[:] = clamp(step_size * factor, step_min, step_max)
    prev[:] = np.where(down > 0, zero, g)
    moves = np.where(np.abs(prev) > 0, one, zero)
    return np.copysign(moves * step_size, prev)
