"""FTRL-Proximal. The equations stand in csrc/rules/ftrl.hpp."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.reference.arithmetic import soft_threshold
from gradstep.reference.rules import rule

Array = NDArray[Any]


@rule("z", "n", sets_parameter=True)
def ftrl(
    p: Array, g: Array, z: Array, n: Array, *, lr: Any, beta: Any, lambda1: Any, lambda2: Any
) -> Array:
    grown = n + g * g
    root = np.sqrt(grown)
    z[:] = z + g - (root - np.sqrt(n)) / lr * p
    n[:] = grown
    return p.dtype.type(0) - soft_threshold(z, lambda1) / ((beta + root) / lr + lambda2)
