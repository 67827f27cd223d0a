"""Changes that an interrupt comes before or after, never between."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from functools import partial
from operator import setitem
from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]
Change = partial[Any]


def at_once(changes: Iterable[Change]) -> Change:
    """A function that makes the changes, once, in one call of C code.

    Python looks for signals between calls that it makes itself, and it makes one. So none of the
    changes may be a function in Python.
    """
    return partial(deque, map(partial.__call__, list(changes)), 0)


def filled(array: Array, values: Array) -> Change:
    """The change that gives `array` these values."""
    return partial(setitem, array, ..., values)


def attribute(of: object, name: str, value: object) -> Change:
    """The change that sets an attribute."""
    return partial(setattr, of, name, value)
