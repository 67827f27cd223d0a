"""Parameters moved along their velocity for a while, and put back bit for bit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]


@contextmanager
def moved_ahead(shifts: Iterable[tuple[Array, float, Array]]) -> Iterator[None]:
    """Within the block each parameter p stands at p − factor·velocity.

    `shifts` holds (p, factor, velocity). What the block does to p is undone, too.
    """
    saved = []
    try:
        for param, factor, velocity in shifts:
            saved.append((param, param.copy(order="K")))
            param -= param.dtype.type(factor) * velocity
        yield
    finally:
        for param, before in saved:
            param[...] = before
