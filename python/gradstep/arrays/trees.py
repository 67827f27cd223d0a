"""Nested lists, tuples and dicts of arrays, for loops without an optimizer's structure to go by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.arrays.advice import TOO_DEEP, is_list_of_numbers, towards_gradient
from gradstep.arrays.gradients import READABLE, as_array
from gradstep.arrays.parameters import is_bfloat16

Array = NDArray[Any]


def flatten(tree: Any) -> tuple[Any, dict[str, Any]]:
    """The structure of `tree`, with each leaf's path in its place, and the leaves but None."""
    paths: set[str] = set()
    leaves: dict[str, Any] = {}

    def walk(node: Any, path: str) -> Any:
        if isinstance(node, Mapping):
            return {k: walk(v, f"{path}.{k}" if path else str(k)) for k, v in node.items()}
        if isinstance(node, (list, tuple)):
            if is_list_of_numbers(node, but=(np.generic,)):
                raise TypeError(
                    f"gradient {path or '0'!r} is a list of numbers. {towards_gradient(node)}"
                )
            parts = [walk(v, f"{path}.{i}" if path else str(i)) for i, v in enumerate(node)]
            return tuple(parts) if isinstance(node, tuple) else parts
        path = path or "0"
        if path in paths:
            raise ValueError(f"two arrays are both named {path!r}; rename one of their dict keys")
        paths.add(path)
        if node is not None:
            leaves[path] = node
        return path

    try:
        return walk(tree, ""), leaves
    except RecursionError:
        raise ValueError(f"gradients are {TOO_DEEP}") from None


def rebuilt(structure: Any, leaves: Mapping[str, Any]) -> Any:
    """`structure` with the leaf, or None, in the place of each path."""
    if isinstance(structure, dict):
        return {key: rebuilt(part, leaves) for key, part in structure.items()}
    if isinstance(structure, (list, tuple)):
        return type(structure)(rebuilt(part, leaves) for part in structure)
    return leaves.get(structure)


def same_structure(one: Any, other: Any) -> bool:
    """Whether two structures differ at most in lists for tuples."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same_structure(one[k], other[k]) for k in one)
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(same_structure, one, other))
    return bool(one == other)


def as_readable(name: str, leaf: Any) -> Array:
    """`leaf` as an array that a step could read."""
    array = as_array(name, leaf)
    if not is_bfloat16(array.dtype) and array.dtype.newbyteorder("=") not in READABLE:
        raise TypeError(
            f"gradient {name!r} is a {type(leaf).__name__} with dtype {array.dtype}; expected an "
            "array of float16, bfloat16, float32 or float64"
        )
    return array


def as_floats(name: str, leaf: Any) -> Array:
    """`leaf` as an array of native float64 if it is one of float64, else of float32."""
    array = as_readable(name, leaf)
    return np.asarray(array, np.float64 if array.dtype.itemsize == 8 else np.float32)
