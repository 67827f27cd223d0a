"""Copies of parameters in half precision, which steps write: what users give as ``copies=``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.arrays.advice import is_torch, towards_copy
from gradstep.arrays.memory import byte_range
from gradstep.arrays.parameters import (
    BFLOAT16_BITS,
    check_unchanged,
    check_writeable,
    is_bfloat16,
    look,
)
from gradstep.arrays.stored import Stored
from gradstep.arrays.structure import Branch, Node, leaves

Array = NDArray[Any]


class Copies:
    """Copies by the names of their parameters, as they were given and as plain ndarrays.

    Raises
    ------
    TypeError, ValueError
        If one cannot be written beside its parameter: which, what was expected and what to do.
    """

    def __init__(self, given: Mapping[str, Any], params: Mapping[str, Array]) -> None:
        self.given = dict(given)
        self.arrays = {name: check_copy(name, copy, params[name]) for name, copy in given.items()}
        self._seen = {name: look(copy) for name, copy in self.arrays.items()}
        check_apart(params, self.arrays)

    def check(self, name: str) -> None:
        """Raise a ValueError where a step can no longer write the copy of this parameter."""
        if name in self.arrays:
            what = called(name)
            check_writeable(what, self.arrays[name])
            check_unchanged(what, self.arrays[name], self._seen[name])

    def stored(self, name: str) -> Stored | None:
        """That of this parameter, as parameter tables take it."""
        copy = self.arrays.get(name)
        return None if copy is None else Stored(copy, format_of(copy))


def called(name: str) -> str:
    return f"the copy of {name!r}"


def format_of(copy: Array) -> str:
    return "bfloat16" if is_bfloat16(copy.dtype) else "float16"


def copies_by_name(structures: Sequence[Node], grouped: bool, given: Any) -> dict[str, Any]:
    """What is given for the parameters of all groups: in their structure, or by name."""
    if not grouped:
        return lined_up(structures[0], given)
    names = tuple(name for structure in structures for name in leaves(structure))
    by_name = isinstance(given, Mapping)
    whole = Branch("", names, names) if by_name else Branch("", None, tuple(structures))
    return lined_up(whole, given)


def lined_up(node: Node, given: Any) -> dict[str, Any]:
    """What is given for parameters of the structure `node`, by name.

    None and keys that are not there stand for parameters without a copy.
    """
    if given is None:
        return {}
    if isinstance(node, str):
        return {node: given}
    where = f"the copies of {node.path!r}" if node.path else "copies"
    expected = f"{where} must be {node.describe()}, like the parameters"
    if node.keys is None:
        if not isinstance(given, (list, tuple)):
            raise TypeError(f"{expected}; got a {type(given).__name__}")
        if len(given) != len(node.children):
            raise ValueError(
                f"{expected}; got {len(given)} entries. Give None for what has no copy."
            )
        parts = given
    else:
        if not isinstance(given, Mapping):
            raise TypeError(f"{expected}; got a {type(given).__name__}")
        if unknown := [key for key in given if key not in node.keys]:
            raise ValueError(
                f"{where} has entries that are not parameters: {', '.join(map(repr, unknown))}; it "
                f"must be {node.describe()}, or some of them. Leave the others out."
            )
        parts = [given.get(key) for key in node.keys]
    found: dict[str, Any] = {}
    for child, part in zip(node.children, parts, strict=True):
        found |= lined_up(child, part)
    return found


def check_copy(name: str, copy: Any, param: Array) -> Array:
    """`copy` as a plain ndarray on the same memory; an error where it cannot follow `param`."""
    what = called(name)
    wanted = f"expected a writeable numpy.ndarray of float16 or bfloat16 of shape {param.shape}"
    make = "Make it of its parameter: x.astype(numpy.float16), or x.astype(ml_dtypes.bfloat16)."
    if param.dtype != np.float32:
        raise TypeError(
            f"{what} cannot be written: copies are of float32 parameters, and {name!r} is "
            f"{param.dtype}. Leave it out."
        )
    if not isinstance(copy, np.ndarray) or isinstance(copy, np.ma.MaskedArray):
        advice = towards_copy(copy) if is_torch(copy) else make
        raise TypeError(
            f"{what} is a {type(copy).__name__}; {wanted}, which is written in place. {advice}"
        )
    if copy.dtype != np.float16 and not is_bfloat16(copy.dtype):
        raise TypeError(f"{what} has dtype {copy.dtype.str!r}; {wanted}. {make}")
    if copy.shape != param.shape:
        raise ValueError(f"{what} has shape {copy.shape}; {wanted}. {make}")
    if not copy.flags.writeable:
        raise ValueError(f"{what} is read-only; {wanted}. {make}")
    own, its = copy.flags, param.flags
    alike = (own.c_contiguous and its.c_contiguous) or (own.f_contiguous and its.f_contiguous)
    if not alike or not own.aligned:
        raise ValueError(
            f"{what} does not lie in memory as its parameter does (strides {copy.strides}, those "
            f"of the parameter {param.strides}); {wanted}, contiguous in the same order. {make}"
        )
    plain = np.asarray(copy)
    dtype = plain.dtype if plain.dtype == BFLOAT16_BITS else np.dtype(plain.dtype.type)
    return plain if plain.dtype is dtype else plain.view(dtype)


def check_apart(params: Mapping[str, Array], copies: Mapping[str, Array]) -> None:
    """Raise a ValueError that names a copy and what it shares memory with, if there is any."""
    arrays = {f"parameter {name!r}": param for name, param in params.items()}
    arrays |= {called(name): copy for name, copy in copies.items()}
    ranges = sorted((*byte_range(array), what) for what, array in arrays.items() if array.size)
    for (_, end, first), (begin, _, second) in pairwise(ranges):
        if begin < end:
            raise ValueError(
                f"{first} and {second} overlap in memory, and a step would write both there. Give "
                "each copy memory of its own: copy = copy.copy()"
            )


NO_COPIES = Copies({}, {})
