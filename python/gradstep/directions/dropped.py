"""State in coordinates of bases, where the plan has no place for those any more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from gradstep.directions.eigenbases import is_set
from gradstep.directions.newton_schulz import as_matrix
from gradstep.method.slots import Slot

Array = NDArray[Any]


def dropped_bases(
    slot: Slot, arrays: Mapping[str, Array], of: tuple[int, ...], longest: float
) -> dict[int, Array]:
    """The bases among `arrays` that a slot beside a parameter of the shape `of` is in, and that are
    longer than it may have them; by their axes."""
    dropped = {}
    for axis, name in enumerate(slot.bases or ()):
        basis = arrays.get(name)
        shape = Slot(kind="matrix", axis=axis).shape(of, longest)
        if basis is not None and basis.size and basis.shape != shape:
            dropped[axis] = basis
    return dropped


def outside(values: Array, bases: Mapping[int, Array]) -> Array:
    """What `values` in these bases are in the parameter's own axes."""
    if not bases:
        return values
    rotated: Array = values.copy(order="K")
    matrix = as_matrix(rotated)
    for axis, basis in bases.items():
        if is_set(basis):
            matrix[...] = matrix @ basis.T if axis else basis @ matrix
    return rotated
