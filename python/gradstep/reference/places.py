"""Where the elements of an array are read and written, whatever they are stored in."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.arrays.at_once import Change, filled
from gradstep.arrays.memory import bits_of, flat, memory_order
from gradstep.arrays.stored import Stored, compute_dtype
from gradstep.reference.draws import Drawn
from gradstep.reference.packing import PACKINGS

Array = NDArray[Any]


class Place:
    """An array of the compute type."""

    def __init__(self, array: Array | Stored) -> None:
        self.shaped = array.array if isinstance(array, Stored) else array
        self.dtype = compute_dtype(array)
        self.size = self.shaped.size
        self._flat = flat(self.shaped)

    def read(self, run: slice) -> Array:
        """These elements in the compute type; perhaps a view."""
        return self._flat[run]

    def write(self, run: slice, values: Array, drawn: Drawn) -> list[Change]:
        """The changes that give these elements these values."""
        return [filled(self._flat[run], values)]

    def bits(self) -> Array:
        return bits_of(self._flat)

    def whole(self) -> Array:
        """All of it in the compute type, in its shape and order."""
        values = self.read(slice(0, self.size))
        return values.reshape(self.shaped.shape, order=memory_order(self.shaped))


class PackedPlace(Place):
    """One in a narrow format. Runs begin at multiples of the elements that share what is beside."""

    def __init__(self, stored: Stored) -> None:
        super().__init__(stored)
        self._packing = PACKINGS[stored.format]
        self._beside = None if stored.beside is None else flat(stored.beside)

    def read(self, run: slice) -> Array:
        beside = None if self._beside is None else self._beside[self._run_beside(run)]
        return self._packing.unpack(self._flat[run], beside)

    def write(self, run: slice, values: Array, drawn: Drawn) -> list[Change]:
        stored, beside = self._packing.pack(np.ascontiguousarray(values), drawn)
        changes = [filled(self._flat[run], stored.view(self._flat.dtype))]
        if self._beside is not None:
            beside = beside.view(self._beside.dtype)
            changes.append(filled(self._beside[self._run_beside(run)], beside))
        return changes

    def _run_beside(self, run: slice) -> slice:
        per = self._packing.per
        return slice(run.start // per, -(-min(run.stop, self.size) // per))


def place_of(array: Array | Stored) -> Place:
    return PackedPlace(array) if isinstance(array, Stored) else Place(array)
