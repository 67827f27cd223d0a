"""What wrappers do to parameters. The equations stand in csrc/rules/around.hpp."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.reference.rules import rule

Array = NDArray[Any]


@rule("slow_param", sets_parameter=True)
def lookahead(p: Array, g: Array, slow_param: Array, *, alpha: Any) -> Array:
    slow_param[:] = slow_param + alpha * (p - slow_param)
    return slow_param


@rule(sets_parameter=True)
def asam(p: Array, g: Array, *, ascent: Any, eta: Any) -> Array:
    size = np.abs(p) + eta
    return p + (ascent * size) * (size * g)
