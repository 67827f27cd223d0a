"""The optimizer of one rank's share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.arrays.memory import flat
from gradstep.distributed.shares import Shares
from gradstep.distributed.torn import Borders, limited_axes
from gradstep.distributed.transport import Transport
from gradstep.distributed.wanted import Wanted
from gradstep.distributed.whole import Whole
from gradstep.optimizer.cohorts import after_step
from gradstep.optimizer.front import Optimizer
from gradstep.optimizer.layout import Layout, Rows

Array = NDArray[Any]
Part = Array | None


class Inner:
    """Takes the steps of the parts that this rank owns of all tensors.

    It is an optimizer over one-dimensional arrays of the parameters' own names, which are empty
    where the rank owns nothing of a tensor. So groups, step counts and draws are the whole's.
    """

    def __init__(
        self,
        kind: type[Optimizer],
        whole: Whole,
        shares: Shares,
        transport: Transport,
        options: Mapping[str, Any],
    ) -> None:
        self._transport = transport
        self._borders = Borders(transport, whole, shares)
        arrays = {
            name: flat(param)[slice(*shares.part(transport.rank, i))]
            for i, (name, param) in enumerate(whole.params.items())
        }
        self.opt = kind(whole.like(arrays), **options)

    @property
    def layout(self) -> Layout:
        return self.opt._layout

    def step(
        self, grads: Sequence[Part], rows: Rows, grad_scale: float, wanted: Wanted
    ) -> tuple[float | None, bool]:
        """The norm, where it is asked for, and whether the step was skipped."""
        layout = self.layout
        table, cohorts = layout.table, layout.cohorts
        norm = counts = None
        table.begin(rows, grad_scale)
        try:
            if wanted.with_norm or wanted.skip_nonfinite or layout.needs_norm:
                norm = table.limit(*self._sums_of_all(self._own_sums(grads, rows)))
                if (wanted.skip_nonfinite or layout.skips_nonfinite) and not isfinite(norm):
                    table.abort()
                    return norm, True
            if any(plan.cautious for plan in layout.plans):
                counts = self._transport.all_gather(table.counts(grads)).sum(axis=0)
            table.apply(0, grads, **({} if counts is None else {"counts": counts}))
        except BaseException:
            table.abort()
            raise
        if absent := table.end():
            cohorts = after_step(cohorts, absent)
        layout.steps, layout.cohorts = layout.steps + 1, cohorts
        return norm, False

    def _own_sums(self, grads: Sequence[Part], rows: Rows) -> list[Array]:
        squares, *of_units = self.layout.table.block_sums(grads)
        if limited_axes(self.layout, rows):
            torn = self._borders.sums(self.layout, rows, grads)
            of_units = [np.concatenate(pair) for pair in zip(of_units, torn, strict=True)]
        return [squares, *of_units]

    def _sums_of_all(self, own: Sequence[Array]) -> list[Array]:
        """The sums of blocks of all ranks, one after another, of each kind."""
        transport = self._transport
        sizes = transport.all_gather(np.array([array.size for array in own], np.int64))
        found = [[np.empty(n, np.float64) for n in of_rank] for of_rank in sizes.tolist()]
        found[transport.rank] = list(own)
        received = [[] if r == transport.rank else arrays for r, arrays in enumerate(found)]
        transport.exchange([list(own)] * transport.size, received)()
        return [np.concatenate(of_kind) for of_kind in zip(*found, strict=True)]
