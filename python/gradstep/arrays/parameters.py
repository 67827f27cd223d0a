"""Parameters: arrays that can be updated in place, each in memory of its own."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.arrays.advice import towards_contiguous, towards_dtype, towards_parameter
from gradstep.arrays.memory import address, byte_range

Array = NDArray[Any]
Look = tuple[Any, ...]

DTYPES = (np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.float16))


# For arrays on the memory of tensors, as NumPy has no bfloat16.
BFLOAT16_BITS = np.dtype([("bfloat16", np.uint16)])


def is_bfloat16(dtype: np.dtype[Any]) -> bool:
    """That of the package ml_dtypes, which need not be there, or its bits."""
    if dtype.kind != "V" or dtype.itemsize != 2:
        return False
    return dtype == BFLOAT16_BITS or (dtype.name == "bfloat16" and dtype.isnative)


def check_param(name: str, param: Any) -> Array:
    """`param` as a plain ndarray on the same memory; an error where it cannot be updated in place.

    Raises
    ------
    TypeError, ValueError
        Which parameter it is, what was expected, what came and what to do.
    """
    wanted = (
        "expected a writeable, contiguous numpy.ndarray of float32, float64, float16 or bfloat16"
    )
    if not isinstance(param, np.ndarray) or isinstance(param, np.ma.MaskedArray):
        raise TypeError(
            f"parameter {name!r} is a {type(param).__name__}; {wanted}, which is updated in place. "
            + towards_parameter(param)
        )
    if not param.dtype.isnative:
        raise TypeError(
            f"parameter {name!r} has byte-swapped dtype {param.dtype.str!r}; {wanted}. "
            "Convert it once: x = x.astype(x.dtype.newbyteorder('='))."
        )
    if param.dtype not in DTYPES and not is_bfloat16(param.dtype):
        raise TypeError(
            f"parameter {name!r} has dtype {param.dtype}; {wanted}. {towards_dtype(param.dtype)}"
        )
    if not param.flags.writeable:
        raise ValueError(
            f"parameter {name!r} is read-only; {wanted}. Pass a copy: x = x.copy(), and go on "
            "with the copy."
        )
    if not (param.flags.c_contiguous or param.flags.f_contiguous) or not param.flags.aligned:
        raise ValueError(
            f"parameter {name!r} is not contiguous (shape {param.shape}, strides {param.strides}); "
            f"{wanted}. {towards_contiguous(param)}"
        )
    plain = np.asarray(param)
    # An equal dtype can be another object (with metadata, say); the engine knows NumPy's own.
    own = np.dtype(plain.dtype.type)
    return plain if plain.dtype is own else plain.view(own)


def look(param: Array) -> Look:
    """What must stay as it is for a step to write `param`."""
    flags = param.flags
    order = flags.c_contiguous, flags.f_contiguous
    return address(param), param.shape, param.dtype, order, flags.writeable


def check_unchanged(what: str, array: Array, seen: Look) -> None:
    """Raise a ValueError where a step can no longer write a parameter, or copy, as it could."""
    if look(array) != seen:
        raise ValueError(
            f"{what} is no longer the writeable array that the optimizer was given "
            "(its memory, shape, dtype, order or flags were changed in place); undo the change, "
            "or make a new optimizer"
        )


def check_writeable(what: str, array: Array) -> None:
    """Raise a ValueError where an array of the optimizer has become read-only."""
    if not array.flags.writeable:
        raise ValueError(
            f"{what} has become read-only; make it writeable again: array.flags.writeable = True"
        )


def check_disjoint(named: Mapping[str, Array]) -> None:
    """Raise a ValueError that names two parameters sharing memory, if there are any."""
    ranges = sorted((*byte_range(array), name) for name, array in named.items() if array.size)
    for (_, end, first), (begin, _, second) in pairwise(ranges):
        if begin < end:
            same = "are the same array" if named[first] is named[second] else "overlap in memory"
            raise ValueError(
                f"parameters {first!r} and {second!r} {same}: each element would be updated twice "
                "in a step. Give each array once; for tied weights add up their gradients."
            )
