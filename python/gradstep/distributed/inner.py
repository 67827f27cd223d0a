"""The optimizer of one rank's share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from gradstep.arrays.memory import flat
from gradstep.distributed.shares import Shares
from gradstep.distributed.whole import Whole
from gradstep.optimizer.cohorts import after_step
from gradstep.optimizer.front import Optimizer
from gradstep.optimizer.layout import Layout, Rows

Array = NDArray[Any]
Part = Array | None


class Inner:
    """Takes the steps of the parts that this rank owns of all tensors.

    It is an optimizer over one-dimensional arrays of the parameters' own names, which are empty
    where the rank owns nothing of a tensor. So groups, step counts and draws are those of the whole.
    """

    def __init__(
        self, kind: type[Optimizer], whole: Whole, shares: Shares, rank: int, options: Mapping[str, Any]
    ) -> None:
        arrays = {
            name: flat(param)[slice(*shares.part(rank, i))]
            for i, (name, param) in enumerate(whole.params.items())
        }
        self.opt = kind(whole.like(arrays), **options)

    @property
    def layout(self) -> Layout:
        return self.opt._layout

    def step(self, grads: Sequence[Part], rows: Rows, grad_scale: float) -> None:
        """Take the step; nothing of it can fail any more."""
        layout = self.layout
        table, cohorts = layout.table, layout.cohorts
        table.begin(rows, grad_scale)
        table.apply(0, grads)
        absent = table.end()
        if absent:
            cohorts = after_step(cohorts, absent)
        layout.steps, layout.cohorts = layout.steps + 1, cohorts
