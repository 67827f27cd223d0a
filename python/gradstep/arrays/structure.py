"""What users may pass as parameters and gradients, lined up as flat lists of named arrays.

Parameters may be one array, or lists, tuples and dicts of them, nested at will. Gradients come in
the same structure, and leave it in the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.arrays.advice import TOO_DEEP, is_list_of_numbers, towards_gradient
from gradstep.arrays.parameters import check_param

Array = NDArray[Any]
Align = Callable[[Any], Sequence[Any]]


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


def leaves(node: Node) -> list[str]:
    """The names of the parameters, in order."""
    if isinstance(node, str):
        return [node]
    return [name for child in node.children for name in leaves(child)]


def flatten_params(params: Any, prefix: str = "") -> tuple[Node, dict[str, Array]]:
    """The structure of `params`, and its arrays by name, in order, as they were given.

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
            if is_list_of_numbers(node):
                raise TypeError(
                    f"parameter {name or '0'!r} is a list of numbers, whose elements could not be "
                    "updated in place. Convert it once, x = numpy.array(x, dtype=numpy.float32), "
                    "and go on with the array."
                )
            keys, values = None, tuple(node)
            names = tuple(str(i) for i in range(len(values)))
        else:
            name = name or "0"
            if name in named:
                raise ValueError(
                    f"two parameters are both named {name!r}; rename one of their dict keys"
                )
            check_param(name, node)
            named[name] = node
            return name
        paths = [f"{name}.{part}" if name else part for part in names]
        return Branch(
            name, keys, tuple(walk(v, path) for v, path in zip(values, paths, strict=True))
        )

    try:
        return walk(params, prefix), named
    except RecursionError:
        raise ValueError(f"params are {TOO_DEEP}") from None


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
                f"{where} must be {node.describe()}, like the parameters; {what_came(grads)}"
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


def what_came(grads: Any) -> str:
    text = f"got a {type(grads).__name__}"
    return f"{text}. {towards_gradient(grads)}" if hasattr(type(grads), "grads") else text


def listed(keys: Any, most: int = 20) -> str:
    shown = ", ".join(map(repr, islice(keys, most))) or "no keys"
    return f"{shown}, …" if len(keys) > most else shown


def align_mapping(node: Branch, grads: Any, where: str) -> list[Any]:
    keys = node.keys or ()
    if not isinstance(grads, Mapping):
        raise TypeError(
            f"{where} must be {node.describe()}, like the parameters; {what_came(grads)}"
        )
    missing = [key for key in keys if key not in grads]
    if missing:
        raise ValueError(
            f"{where} has no entry for {', '.join(map(repr, missing))}; it must be "
            f"{node.describe()}; got {listed(grads)}. "
            "Give None for a parameter that has no gradient."
        )
    extra = [key for key in grads if key not in keys]
    if extra:
        raise ValueError(
            f"{where} has entries that are not parameters: {', '.join(map(repr, extra))}; it must "
            f"be {node.describe()}. Leave them out, or add_group() the new parameters."
        )
    return [grads[key] for key in keys]
