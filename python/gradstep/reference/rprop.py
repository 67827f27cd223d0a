"""Rprop. The equations stand in csrc/rules/rprop.hpp."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.reference.arithmetic import clamp, maximum, sign

Array = NDArray[Any]


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
    agreement = sign(g * prev)
    up, down = maximum(agreement, zero), maximum(-agreement, zero)
    factor = up * eta_plus + down * eta_minus + (one - up - down)
    step_size[:] = clamp(step_size * factor, step_min, step_max)
    prev[:] = np.where(down > 0, zero, g)
    return sign(prev) * step_size
