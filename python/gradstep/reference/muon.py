"""Muon, given its direction. The equation stands in csrc/rules/muon.hpp."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from gradstep.reference.rules import rule

Array = NDArray[Any]


@rule("momentum_buffer", "direction")
def muon(
    g: Array,
    momentum_buffer: Array,
    direction: Array,
    *,
    lr: Any,
    momentum: Any,
    one_minus_momentum: Any,
) -> Array:
    momentum_buffer[:] = momentum * momentum_buffer + one_minus_momentum * g
    return lr * direction
