"""Blocks of units that a cut between two shares goes through, put together where they begin."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gradstep.arrays.memory import memory_order
from gradstep.arrays.parts import Part
from gradstep.distributed.shares import Piece, Shares
from gradstep.distributed.transport import Transport
from gradstep.distributed.whole import Whole
from gradstep.optimizer.decoding import decoded
from gradstep.optimizer.layout import Layout, Rows
from gradstep.reference.units import Units

Array = NDArray[Any]


class Torn(NamedTuple):
    """A block that begins in a rank's share and ends beyond it."""

    tensor: int
    units: Units
    begin: int
    cut: int  # where the share ends
    end: int


def limited_axes(layout: Layout, rows: Rows) -> dict[int, int]:
    """The axis of the units of every tensor whose units are limited."""
    return {
        tensor: layout.plans[cohort.group].units_axis
        for row, cohort in zip(rows, layout.cohorts, strict=True)
        if isfinite(row[0][0][3])
        for tensor in cohort.members
    }


class Borders:
    """What ranks send each other for the blocks that are torn between them."""

    def __init__(self, transport: Transport, whole: Whole, shares: Shares) -> None:
        self._transport, self._whole, self._shares = transport, whole, shares

    def torn_at(self, rank: int, axes: dict[int, int], present: Sequence[bool]) -> Torn | None:
        """At the end of a rank's share."""
        last: Piece | None = None
        for piece in self._shares.pieces(rank):
            last = piece
        if last is None or last.tensor not in axes or not present[last.tensor]:
            return None
        param = self._whole.arrays[last.tensor]
        part = Part(last.begin, param.shape, memory_order(param))
        units = Units(part, axes[last.tensor])
        block = units.torn(last.size)
        return None if block is None else Torn(last.tensor, units, block[0], last.end, block[1])

    def sums(
        self, layout: Layout, rows: Rows, grads: Sequence[Array | None]
    ) -> tuple[Array, Array]:
        """Of the block that is torn at the end of this rank's share: over its units, of the squares
        of gradients, and of those of parameters."""
        transport, axes = self._transport, limited_axes(layout, rows)
        present = [grad is not None for grad in grads]
        torn = [self.torn_at(rank, axes, present) for rank in range(transport.size)]
        sent = [
            [] if block is None or rank >= transport.rank else self._own(layout, block, grads)
            for rank, block in enumerate(torn)
        ]
        mine = torn[transport.rank]
        received: list[list[Array]] = [[] for _ in torn]
        if mine is not None:
            for rank in range(transport.rank + 1, transport.size):
                size = len(range(*self._overlap(mine, rank)))
                dtype = self._whole.dtypes[mine.tensor]
                received[rank] = [np.empty(size, dtype) for _ in range(2 if size else 0)]
        transport.exchange(sent, received)()
        if mine is None:
            return np.zeros(0), np.zeros(0)
        first, _ = self._shares.part(transport.rank, mine.tensor)
        found = [array[mine.begin - first :] for array in self._both(layout, mine.tensor, grads)]
        with np.errstate(all="ignore"):
            of_grads, of_params = (
                mine.units.torn_sums(np.concatenate([own, *(r[k] for r in received if r)]))
                for k, own in enumerate(found)
            )
        return of_grads, of_params

    def _overlap(self, torn: Torn, rank: int) -> tuple[int, int]:
        """Which elements of the block beyond the cut a rank owns."""
        begin, end = self._shares.part(rank, torn.tensor)
        begin, end = max(begin, torn.cut), min(end, torn.end)
        return (begin, end) if begin < end else (0, 0)

    def _own(self, layout: Layout, torn: Torn, grads: Sequence[Array | None]) -> list[Array]:
        begin, end = self._overlap(torn, self._transport.rank)
        if begin == end:
            return []
        first, _ = self._shares.part(self._transport.rank, torn.tensor)
        both = self._both(layout, torn.tensor, grads)
        return [array[begin - first : end - first] for array in both]

    def _both(self, layout: Layout, tensor: int, grads: Sequence[Array | None]) -> list[Array]:
        """The gradient and the values of the part of a tensor that is here."""
        grad = grads[tensor]
        assert grad is not None
        return [grad, decoded(layout, self._whole.names[tensor], "param")]
