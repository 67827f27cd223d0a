"""Gradients that need no conversion any more."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]

LOOKS = 8  # the second finds gradients settled; the third, where one's conversion changed another


def settled(
    leaves: Sequence[object], convert: Callable[[int, Any], Array], first: int = 0
) -> list[Array | None]:
    """The gradients of the parameters from `first` on, converted.

    A conversion may run anybody's code, and so change what was looked at before: they are taken
    once a look finds nothing to convert.
    """
    now: list[Any] = list(leaves)
    for _ in range(LOOKS):
        before = now
        now = [None if g is None else convert(i, g) for i, g in enumerate(before, first)]
        if all(map(operator.is_, now, before)):
            return now
    raise RuntimeError(
        "the gradients change while they are read; leave them alone until the step has returned"
    )
