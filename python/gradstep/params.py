"""What users may pass as parameters and gradients, lined up as flat lists of named arrays.

Parameters may be one array, or lists, tuples and dicts of them, nested at will. Gradients come in
the same structure, and leave it in the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import itemgetter
from typing import Any, Literal
from weakref import ref

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Align = Callable[[Any], Sequence[Any]]

DTYPES = (np.dtype(np.float32), np.dtype(np.float64))


@dataclass(frozen=True)
class Branch:
    """A list (keys is None) or dict of children; a str is the name of a parameter."""

    path: str
    keys: tuple[Any, ...] | None
    children: tuple[Branch | str, ...]

    def describe(self) -> str:
        if self.keys is None:
            return f"a list of {len(self.children)}"
        return "a dict with the keys " + ", ".join(map(repr, self.keys))


Node = Branch | str


def flatten_params(params: Any, prefix: str = "") -> tuple[Node, dict[str, Array]]:
    """The structure of `params`, and its arrays by name, in order.

    Names are dict keys and list indices, joined with dots: ``"encoder.0.W"``. A single array is
    called ``"0"``.
    """
    named: dict[str, Array] = {}

    def walk(node: Any, name: str) -> Node:
        keys: tuple[Any, ...] | None
        if isinstance(node, Mapping):
            keys, values = tuple(node.keys()), tuple(node.values())
            names = tuple(map(str, keys))
        elif isinstance(node, (list, tuple)):
            keys, values = None, tuple(node)
            names = tuple(str(i) for i in range(len(values)))
        else:
            name = name or "0"
            if name in named:
                raise ValueError(
                    f"two parameters are both named {name!r}; rename one of their dict keys"
                )
            named[name] = check_param(name, node)
            return name
        paths = [f"{name}.{part}" if name else part for part in names]
        return Branch(
            name, keys, tuple(walk(v, path) for v, path in zip(values, paths, strict=True))
        )

    return walk(params, prefix), named


def check_param(name: str, param: Any) -> Array:
    """`param` as a plain ndarray on the same memory; an error where it cannot be updated in place.

    Raises
    ------
    TypeError, ValueError
        Which parameter it is, what was expected, what came and what to do.
    """
    wanted = "expected a writeable, contiguous float32 or float64 numpy.ndarray"
    if not isinstance(param, np.ndarray) or isinstance(param, np.ma.MaskedArray):
        raise TypeError(
            f"parameter {name!r} is a {type(param).__name__}; {wanted}, which is updated in place. "
            "Convert it once, numpy.asarray(x, dtype=numpy.float32), and go on with the array."
        )
    if not param.dtype.isnative:
        raise TypeError(
            f"parameter {name!r} has byte-swapped dtype {param.dtype.str!r}; {wanted}. "
            "Convert it once: x = x.astype(x.dtype.newbyteorder('='))."
        )
    if param.dtype not in DTYPES:
        raise TypeError(
            f"parameter {name!r} has dtype {param.dtype}; {wanted}. "
            "Convert it once: x = x.astype(numpy.float32)."
        )
    if not param.flags.writeable:
        raise ValueError(
            f"parameter {name!r} is read-only; {wanted}. Pass a copy: x = x.copy(), and go on "
            "with the copy."
        )
    if not (param.flags.c_contiguous or param.flags.f_contiguous) or not param.flags.aligned:
        raise ValueError(
            f"parameter {name!r} is not contiguous (shape {param.shape}, strides {param.strides}); "
            f"{wanted}. Make it so once, x = numpy.ascontiguousarray(x), and go on with the result."
        )
    plain = np.asarray(param)
    # An equal dtype can be another object (with metadata, say); the engine knows NumPy's own.
    return plain if any(plain.dtype is own for own in DTYPES) else plain.view(plain.dtype.type)


def check_writeable(what: str, array: Array) -> None:
    """Raise a ValueError where an array of the optimizer has become read-only."""
    if not array.flags.writeable:
        raise ValueError(
            f"{what} has become read-only; make it writeable again: array.flags.writeable = True"
        )


def held(views: Iterable[Array]) -> list[ref[Array]]:
    """While the result lives, the memory that `views` are of cannot be resized.

    NumPy refuses to resize an array with a weak reference to it, even with ``refcheck=False``.
    """
    return [ref(view.base) for view in views if isinstance(view.base, np.ndarray)]


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


def memory_order(array: Array) -> Literal["C", "F"]:
    """The order of a contiguous array; C for one that is contiguous in both."""
    return "C" if array.flags.c_contiguous else "F"


def flat(array: Array) -> Array:
    """A contiguous array as a one-dimensional view, in memory order."""
    return array.reshape(-1, order=memory_order(array))


def address(array: Array) -> int:
    where: int = array.__array_interface__["data"][0]
    return where


def byte_range(array: Array) -> tuple[int, int]:
    """The addresses [first, last) between which `array` lies."""
    low = high = address(array)
    if array.size == 0:
        return low, low
    for length, stride in zip(array.shape, array.strides, strict=True):
        if stride < 0:
            low += (length - 1) * stride
        else:
            high += (length - 1) * stride
    return low, high + array.itemsize


def aligner(node: Node) -> Align:
    """A function that flattens gradients of the structure `node`, in order.

    The two shapes of nearly every model, a list and a flat dict, are flattened without a loop in
    Python; what they cannot settle goes to :func:`align`, which finds the words for what is wrong.
    """
    if isinstance(node, str):
        return lambda grads: (grads,) if type(grads) is np.ndarray else align(node, grads)
    count = len(node.children)
    if not all(isinstance(child, str) for child in node.children):
        return lambda grads: align(node, grads)
    if node.keys is None:
        return lambda grads: (
            grads if type(grads) in (list, tuple) and len(grads) == count else align(node, grads)
        )
    keys = node.keys
    pick: Align = itemgetter(*keys) if count > 1 else lambda grads: [grads[key] for key in keys]

    def from_dict(grads: Any) -> Sequence[Any]:
        if type(grads) is dict and len(grads) == count:
            try:
                picked = pick(grads)
            except KeyError:
                pass
            else:
                return picked
        return align(node, grads)

    return from_dict


def align(node: Node, grads: Any) -> list[Any]:
    """The leaves of `grads` in the order of the parameters.

    Raises
    ------
    TypeError, ValueError
        Where the structure differs: the place, what was expected there and what came.
    """
    if isinstance(node, str):
        if isinstance(grads, (Mapping, list, tuple)):
            raise TypeError(
                f"gradient {node!r} is a {type(grads).__name__}; expected an array of its "
                "parameter's shape. Give gradients in the structure of the parameters."
            )
        return [grads]
    where = f"the gradients of {node.path!r}" if node.path else "grads"
    if node.keys is None:
        if not isinstance(grads, (list, tuple)):
            raise TypeError(
                f"{where} must be {node.describe()}, like the parameters; "
                f"got a {type(grads).__name__}"
            )
        children: Sequence[Any] = tuple(grads)
        if len(children) != len(node.children):
            raise ValueError(
                f"{where} must be {node.describe()}, like the parameters; got {len(children)} "
                "entries. Give None for a parameter that has no gradient."
            )
    else:
        children = align_mapping(node, grads, where)
    return [
        leaf
        for child, part in zip(node.children, children, strict=True)
        for leaf in align(child, part)
    ]


def align_mapping(node: Branch, grads: Any, where: str) -> list[Any]:
    keys = node.keys or ()
    if not isinstance(grads, Mapping):
        raise TypeError(
            f"{where} must be {node.describe()}, like the parameters; got a {type(grads).__name__}"
        )
    missing = [key for key in keys if key not in grads]
    if missing:
        raise ValueError(
            f"{where} has no entry for {', '.join(map(repr, missing))}; it must be "
            f"{node.describe()}. Give None for a parameter that has no gradient."
        )
    extra = [key for key in grads if key not in keys]
    if extra:
        raise ValueError(
            f"{where} has entries that are not parameters: {', '.join(map(repr, extra))}; it must "
            f"be {node.describe()}. Leave them out, or add_group() the new parameters."
        )
    return [grads[key] for key in keys]
