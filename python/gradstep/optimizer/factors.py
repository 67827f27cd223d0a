"""State of rows and columns, and the parameters that it goes with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from gradstep.method.slots import Slot
from gradstep.reference import RULES

Array = NDArray[Any]


def check_factors(name: str, param: Array, rule: str, slots: Mapping[str, Slot]) -> None:
    """Raise a ValueError where a state of rows and columns does not go with a parameter."""
    factored = any(slots[slot].factors for slot in RULES[rule].slots)
    if factored and param.ndim > 2 and not param.flags.c_contiguous:
        raise ValueError(
            f"parameter {name!r} has {param.ndim} axes in column-major order, and its state is of "
            "the rows and columns of its last two; lay it out in row-major order once: "
            "np.ascontiguousarray"
        )
