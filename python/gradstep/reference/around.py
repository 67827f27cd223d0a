"""What wrappers do to parameters. The equations stand in csrc/rules/around.hpp."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.reference.arithmetic import squared
from gradstep.reference.rules import Whole, rule

Array = NDArray[Any]


@rule("slow_param", sets_parameter=True)
def lookahead(p: Array, g: Array, slow_param: Array, *, alpha: Any) -> Array:
    slow_param[:] = slow_param + alpha * (p - slow_param)
    return slow_param


def terms(p: Array, g: Array, *, eta: Any, **own: Any) -> list[Array]:
    return [squared((np.abs(p) + eta).astype(np.float64) * g.astype(np.float64))]


def conclude(sums: list[Any], size: Any, scalars: list[Any], **own: Any) -> Any:
    scalars[0] = np.sqrt(sums[0])
    return {}


def finish(scalars: list[Any], *, rho: Any, **own: Any) -> Any:
    return {"ascent": rho / (scalars[0] + 1e-12)}


@rule(
    sets_parameter=True,
    whole=Whole(("norm",), ("ascent",), terms, None, conclude, finish, of_all=True),
)
def asam(p: Array, g: Array, *, rho: Any, eta: Any, ascent: Any) -> Array:
    size = np.abs(p) + eta
    return p + (ascent * size) * (size * g)
