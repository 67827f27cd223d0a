"""What directions are computed of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from numpy.typing import NDArray

from gradstep.arrays.stored import Stored
from gradstep.reference.places import place_of

Array = NDArray[Any]


class Matrix:
    """A tensor whose step is a direction: its state, and workspaces in the compute type."""

    def __init__(
        self,
        place: int,
        name: str,
        rule: str,
        slots: Mapping[str, Array | Stored],
        workspaces: Mapping[str, Array],
        state: Mapping[str, Array],
    ) -> None:
        self.place = place  # in the table
        self.name = name
        self.rule = rule
        self.slots = slots
        self.workspaces = workspaces
        direction = workspaces["direction"]
        # Whole matrices, which the table does not know.
        self.state = state if direction.ndim > 1 and direction.size else {}
        self.size = direction.size

    def values(self, slot: str) -> Array:
        """A slot's values in the compute type; perhaps the slot itself."""
        return place_of(self.slots[slot]).whole()


class Step(NamedTuple):
    """What a matrix gets in a step; its gradient may be None."""

    grad: Array | None
    scale: float  # of the gradient, limits by norm included
    clip_value: float
    h: Mapping[str, Any]
    t: int

    def absent(self) -> Step:
        return self._replace(grad=None)
