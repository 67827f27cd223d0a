"""What directions are computed of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from numpy.typing import NDArray

from gradstep.arrays.parameters import check_writeable, look
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
        # Whole matrices, which the table does not know. They are written through views of our own,
        # which stay what they are whatever becomes of those that users see.
        self._users = state if direction.ndim > 1 and direction.size else {}
        self.state = {key: own_view(array) for key, array in self._users.items()}
        self.size = direction.size

    def check_state(self) -> None:
        """Raise a ValueError where users have made something else of a matrix of the state."""
        for key, array in self._users.items():
            what = f"state[{self.name!r}][{key!r}]"
            check_writeable(what, array)
            if look(array) != look(self.state[key]):
                raise ValueError(
                    f"{what} is no longer the array that the optimizer made, in its memory, shape "
                    "or dtype; undo the change, or make a new optimizer, and write values into its "
                    "state: array[...] = values"
                )

    def values(self, slot: str) -> Array:
        """A slot's values in the compute type; perhaps the slot itself."""
        return place_of(self.slots[slot]).whole()


def own_view(array: Array) -> Array:
    view = array[...]
    view.flags.writeable = True
    return view


class Step(NamedTuple):
    """What a matrix gets in a step; its gradient may be None."""

    grad: Array | None
    scale: float  # of the gradient, limits by norm included
    clip_value: float
    h: Mapping[str, Any]
    t: int

    def absent(self) -> Step:
        return self._replace(grad=None)
