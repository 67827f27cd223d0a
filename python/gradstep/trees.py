"""Nested lists and dicts of arrays, for loops that have no optimizer's structure to go by."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def leaves(grads: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(grads, Mapping):
        items: Any = grads.items()
    elif isinstance(grads, (list, tuple)):
        items = enumerate(grads)
    else:
        if grads is not None:
            yield path or "0", grads
        return
    for key, value in items:
        yield from leaves(value, f"{path}.{key}" if path else str(key))


def mapped(grads: Any, function: Callable[..., Any], *beside: Any) -> Any:
    """`function` of every leaf but None, in the same structure."""
    if grads is None:
        return None
    if isinstance(grads, Mapping):
        return {k: mapped(v, function, *(other[k] for other in beside)) for k, v in grads.items()}
    if isinstance(grads, (list, tuple)):
        return [mapped(v, function, *(other[i] for other in beside)) for i, v in enumerate(grads)]
    return function(grads, *beside)


def skeleton(grads: Any, path: str = "") -> Any:
    """The same structure with each leaf's path in its place."""
    if isinstance(grads, Mapping):
        return {k: skeleton(v, f"{path}.{k}" if path else str(k)) for k, v in grads.items()}
    if isinstance(grads, (list, tuple)):
        return [skeleton(v, f"{path}.{i}" if path else str(i)) for i, v in enumerate(grads)]
    return path or "0"


def as_floats(name: str, leaf: Any) -> Array:
    """`leaf` as an array of native float64 if it is one of float64, else of float32."""
    array = np.asarray(leaf)
    if array.dtype.kind != "f" or array.dtype.itemsize > 8:
        raise TypeError(
            f"gradient {name!r} is a {type(leaf).__name__} with dtype {array.dtype}; expected an "
            "array of float16, float32 or float64"
        )
    return np.asarray(array, np.float64 if array.dtype.itemsize == 8 else np.float32)
