"""A step of all ranks: what travels, and in which order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from gradstep.distributed.inner import Inner
from gradstep.distributed.shares import Shares
from gradstep.distributed.spreading import Spreading
from gradstep.distributed.sums import Sums
from gradstep.distributed.transport import Transport
from gradstep.distributed.wanted import Wanted
from gradstep.distributed.whole import Whole
from gradstep.optimizer.step_info import DONE, StepInfo

Array = NDArray[Any]
Shard = list[Array | None]


class Stepping:
    """What is kept from step to step: who sends what to whom, and the memory for it."""

    def __init__(
        self, transport: Transport, whole: Whole, shares: Shares, inner: Inner, narrow: bool
    ) -> None:
        self._transport, self._whole, self._shares = transport, whole, shares
        self._inner, self._narrow = inner, narrow
        self._sums: dict[Any, Sums] = {}
        self._spreadings: dict[Any, Spreading] = {}

    def run(
        self, wanted: Wanted, given: Sequence[Shard], counts: Sequence[int], average: bool
    ) -> StepInfo:
        """Take the step. Nothing of it can fail any more, but for the network."""
        sums = self._sums_for(wanted.present, tuple(counts))
        parts = sums.of(given)
        scale = wanted.grad_scale / sums.shards if average else wanted.grad_scale
        norm, skipped = self._inner.step(parts, scale, wanted)
        if not skipped:
            self.spread(wanted.present)
        return DONE if norm is None else StepInfo(norm, skipped)

    def spread(self, present: tuple[bool, ...] | None = None) -> None:
        """Give the parameters that have changed, or all, from their owners to all ranks."""
        present = present or (True,) * len(self._whole.names)
        if present not in self._spreadings:
            views = self._whole.views()
            self._spreadings = {present: Spreading(self._transport, self._shares, views, present)}
        self._spreadings[present].run()

    def _sums_for(self, present: tuple[bool, ...], counts: tuple[int, ...]) -> Sums:
        key = present, counts
        if key not in self._sums:
            dtypes = self._whole.dtypes
            self._sums = {
                key: Sums(self._transport, self._shares, dtypes, present, counts, self._narrow)
            }
        return self._sums[key]
