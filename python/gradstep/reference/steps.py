"""A step that is under way, and how what it has computed is written."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from operator import setitem
from typing import Any

from gradstep.arrays.at_once import at_once
from gradstep.reference.limits import Limited, Limiting
from gradstep.reference.update import Run


def write_all(runs: Sequence[Run]) -> None:
    """Make the changes of all runs; what interrupts it, however often, passes after the last."""
    written, interrupt = [0], None
    while written[0] < len(runs):
        try:
            for run in runs[written[0] :]:
                at_once([*run(), partial(setitem, written, 0, written[0] + 1)])()
        except BaseException as error:
            if interrupt is not None and isinstance(error, Exception):
                raise
            interrupt = error
    try:
        if interrupt is not None:
            raise interrupt
    finally:
        del interrupt


class Step:
    """What the phases of a step need, once its rows have been read."""

    def __init__(
        self,
        given: Sequence[tuple[Any, ...]],
        rows: Sequence[tuple[Any, ...]],
        grad_scale: float,
        limited: Limited,
    ) -> None:
        self.given, self.rows, self.grad_scale, self.limited = given, rows, grad_scale, limited
        self.limiting: Sequence[Limiting] | None = None  # what sums have been taken of
        self.applied: set[int] = set()
