"""One gradient, checked against its parameter and made readable in place.

Both backends send every gradient here that they cannot read as it is, so there is one place that
decides what is legal and one text for each error.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.arrays.memory import address, byte_range, memory_order

Array = NDArray[Any]

READABLE = (np.dtype(np.float16), np.dtype(np.float32), np.dtype(np.float64))


class GradientReader:
    """``reader(i, gradient)`` is the gradient of parameter `i`, in its dtype, shape and order.

    Parameters
    ----------
    names, params
        The parameters.
    state
        Every other array that a step writes.
    """

    def __init__(self, names: Sequence[str], params: Sequence[Array], state: Sequence[Array]):
        self._names = list(names)
        self._params = list(params)
        self._seen = [self._look(param) for param in params]
        self._state = list(state)
        self._ranges: list[tuple[int, int, Array]] | None = None

    def __call__(self, i: int, gradient: object) -> Array:
        """Raise TypeError or ValueError, naming the parameter, where `gradient` is none of it."""
        name, param = self._names[i], self._params[i]
        if self._look(param) != self._seen[i]:
            raise ValueError(
                f"parameter {name!r} is no longer the writeable array that the optimizer was given "
                "(its memory, size, dtype, order or flags were changed in place); undo the change, "
                "or make a new optimizer"
            )
        array = as_array(name, gradient)
        if array.dtype.newbyteorder("=") not in READABLE:
            raise TypeError(
                f"gradient {name!r} has dtype {array.dtype}; expected float16, float32 or float64. "
                f"Convert it: g.astype(numpy.{param.dtype})."
            )
        if array.shape != param.shape:
            turned = " It is transposed: pass g.T." if array.shape == param.shape[::-1] else ""
            raise ValueError(
                f"gradient {name!r} has shape {array.shape}; expected {param.shape}, the shape of "
                f"its parameter.{turned}"
            )
        if self._shares_memory(array):
            raise ValueError(
                f"gradient {name!r} shares memory with a parameter or its state, which the step "
                "overwrites. Pass a copy: g.copy()."
            )
        order = memory_order(param)
        if type(gradient) is np.ndarray and matches(array, param, order):
            return array
        copy = np.empty(param.shape, param.dtype, order)
        with np.errstate(over="ignore", under="ignore"):
            copy[...] = array
        return copy

    @staticmethod
    def _look(param: Array) -> tuple[Any, ...]:
        flags = param.flags
        order = flags.c_contiguous, flags.f_contiguous
        return address(param), param.size, param.dtype, order, flags.writeable

    def _shares_memory(self, array: Array) -> bool:
        if self._ranges is None:
            owned = [a for a in (*self._params, *self._state) if a.size]
            self._ranges = sorted(((*byte_range(a), a) for a in owned), key=lambda r: r[:2])
        begin, end = byte_range(array)
        # The ranges are disjoint, so only the one that starts below `begin` can reach into it.
        first = max(bisect_left(self._ranges, begin, key=lambda r: r[0]) - 1, 0)
        for low, high, owned_array in self._ranges[first:]:
            if low >= end:
                return False
            if begin < high and np.shares_memory(array, owned_array):
                return True
        return False


def matches(array: Array, param: Array, order: str) -> bool:
    contiguous = array.flags.c_contiguous if order == "C" else array.flags.f_contiguous
    return array.dtype is param.dtype and contiguous and array.flags.aligned


def as_array(name: str, gradient: object) -> Array:
    """`gradient` as an ndarray, through NumPy's, DLPack's or ``__array__``'s way."""
    if isinstance(gradient, np.ma.MaskedArray):
        raise TypeError(
            f"gradient {name!r} is a masked array, whose mask a step would ignore; decide what "
            "masked entries mean: pass g.filled(0), say"
        )
    if isinstance(gradient, (np.ndarray, np.generic)):
        return np.asarray(gradient)
    if hasattr(gradient, "__dlpack__") or hasattr(gradient, "__array__"):
        return import_array(name, gradient)
    raise TypeError(
        f"gradient {name!r} is a {type(gradient).__name__}; expected an array of its parameter's "
        "shape (an ndarray, or an object with __dlpack__ or __array__), or None for no gradient. "
        "Convert it: numpy.asarray(g, dtype=numpy.float32)."
    )


def import_array(name: str, gradient: Any) -> Array:
    try:
        return np.from_dlpack(gradient)
    except Exception:
        # Not every exporter can say everything in DLPack (read-only memory, dtypes); try the other.
        try:
            return np.asarray(gradient)
        except Exception as error:
            raise TypeError(
                f"gradient {name!r} is a {type(gradient).__name__} that cannot be read as a CPU "
                f"array ({error}). Detach it, move it to the CPU and convert it to float32."
            ) from error
