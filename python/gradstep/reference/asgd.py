"""Averaged SGD. The equations stand in csrc/rules/asgd.hpp."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]


def asgd(p: Array, g: Array, ax: Array, *, shrink: Any, eta: Any, keep: Any, take: Any) -> Array:
    new = shrink * p - eta * g
    ax[:] = keep * ax + take * new
    return new
