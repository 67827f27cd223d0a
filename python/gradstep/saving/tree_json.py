"""Nested dicts and lists with arrays in them, as JSON and named tensors, and back.

An array stands in the JSON as ``{"$tensor": name}``, a float that JSON does not have as
``{"$float": "nan"}``. A dict's own keys that begin with ``$`` get a second one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from gradstep.saving.tensors import is_tensor

Array = NDArray[Any]

DEEPEST = 100  # dicts and lists within one another; Python's own limit differs between versions
TOO_DEEP = "its JSON is nested too deeply"
NONFINITE = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}


def to_json(tree: Any) -> tuple[str, dict[str, Array]]:
    """The tree as JSON, and its arrays by name: their places in it, joined with slashes.

    >>> text, tensors = to_json({"a": [1, np.zeros(2)], "b": math.inf})
    >>> text
    '{"a": [1, {"$tensor": "a/1"}], "b": {"$float": "inf"}}'
    >>> list(tensors)
    ['a/1']

    Raises
    ------
    TypeError
        If there is something else in it than dicts with text keys, lists, tuples, numbers, text,
        None and arrays of numbers.
    ValueError
        If its dicts and lists are nested more than 100 deep.
    """
    tensors: dict[str, Array] = {}
    return json.dumps(encode(tree, "", tensors, DEEPEST), allow_nan=False), tensors


def encode(value: Any, place: str, tensors: dict[str, Array], levels: int) -> Any:
    if levels < 0:
        raise ValueError(f"{place} is nested more than {DEEPEST} deep; a checkpoint is not")
    masked = isinstance(value, np.ma.MaskedArray)
    if isinstance(value, np.ndarray) and is_tensor(value) and not masked:
        tensors[place] = np.asarray(value, order="C")
        return {"$tensor": place}
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"$float": repr(float(value))}
    if isinstance(value, (list, tuple)):
        return [encode(v, within(place, str(i)), tensors, levels - 1) for i, v in enumerate(value)]
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {
            f"${key}" if key.startswith("$") else key: encode(
                v, within(place, key), tensors, levels - 1
            )
            for key, v in value.items()
        }
    raise TypeError(
        f"{place} is {value!r}, of type {type(value).__name__}; a checkpoint holds numbers, text, "
        "None, NumPy arrays of numbers, lists, and dicts with text keys. Convert it first."
    )


def within(place: str, key: str) -> str:
    """A place's name, unlike any other's: the key's own slashes are ``~1``, and ``~`` is ``~0``."""
    key = key.replace("~", "~0").replace("/", "~1")
    return f"{place}/{key}" if place else key


def parse(text: str) -> Any:
    """What is in the JSON, arrays and keys still as they stand in it."""
    try:
        return json.loads(text, parse_constant=refuse_constant)
    except RecursionError:
        raise ValueError(TOO_DEEP) from None
    except ValueError as error:
        raise ValueError(f"its metadata is not JSON: {error}") from error


def refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is none of its values")


def decode(plain: Any, tensors: Mapping[str, Array]) -> Any:
    """The tree that :func:`to_json` was given, with lists for tuples.

    Raises
    ------
    ValueError
        If something in it has no meaning, or it does not name each of `tensors` once.
    """
    left = dict(tensors)
    tree = decode_part(plain, left, DEEPEST)
    if left:
        raise ValueError(f"it has tensors that belong to nothing: {', '.join(map(repr, left))}")
    return tree


def decode_part(value: Any, left: dict[str, Array], levels: int) -> Any:
    if levels < 0:
        raise ValueError(TOO_DEEP)
    if isinstance(value, list):
        return [decode_part(v, left, levels - 1) for v in value]
    if not isinstance(value, dict):
        return value
    if list(value) == ["$tensor"]:
        name = value["$tensor"]
        if not isinstance(name, str) or name not in left:
            raise ValueError(f"it has no tensor {name!r}, or two places for it")
        return left.pop(name)
    if list(value) == ["$float"]:
        name = value["$float"]
        if not isinstance(name, str) or name not in NONFINITE:
            raise ValueError(f"its JSON holds a float {name!r}; expected {list(NONFINITE)}")
        return NONFINITE[name]
    return {plain_key(key): decode_part(v, left, levels - 1) for key, v in value.items()}


def plain_key(key: str) -> str:
    if key.startswith("$") and not key.startswith("$$"):
        raise ValueError(f"its JSON holds the key {key!r}, which has no meaning")
    return key[1:] if key.startswith("$$") else key
