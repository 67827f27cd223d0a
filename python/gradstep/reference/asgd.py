"""Averaged SGD. The equations stand in csrc/rules/asgd.hpp."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from gradstep.reference.rules import rule

Array = NDArray[Any]


@rule("ax", sets_parameter=True)
def asgd(p: Array, g: Array, ax: Array, *, shrink: Any, eta: Any, keep: Any, take: Any) -> Array:
    new = shrink * p - eta * g
    ax[:] = keep * ax + take * new
    return new
