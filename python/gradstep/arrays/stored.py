"""Arrays that are stored in another format than the one they are computed with."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Stored(NamedTuple):
    """The elements of an array in a format of :data:`gradstep.reference.packing.PACKINGS`."""

    array: Array
    format: str
    beside: Array | None = None  # what else the elements need


class Factored(NamedTuple):
    """Matrices as products of a number for each row, (…, n, 1), and for each column, (…, 1, m)."""

    rows: Array
    columns: Array


def compute_dtype(array: Array | Stored) -> np.dtype[Any]:
    """What is computed with: float64 for float64, and float32 for all others."""
    wide = isinstance(array, np.ndarray) and array.dtype == np.float64
    return np.dtype(np.float64 if wide else np.float32)
