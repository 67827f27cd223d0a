"""Averages of gradients in workspaces, by the kernels that steps are taken with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from gradstep import runtime
from gradstep.arrays.gradients import GradientReader
from gradstep.arrays.parameters import look
from gradstep.directions.matrices import Step
from gradstep.directions.products import Products

Array = NDArray[Any]


class Ahead:
    """A table of workspaces, in the place of parameters, which move without a state."""

    def __init__(self, workspaces: Mapping[str, Array]) -> None:
        self._workspaces = workspaces
        self._table: Any = None  # made for who multiplies

    def average(
        self, steps: Sequence[Step], weights: Sequence[tuple[float, float]], products: Products
    ) -> None:
        """Each workspace w ← keep·w + take·g, g being the gradient, scaled and clipped."""
        if self._table is None:
            self._table = table_of({name: products.view(w) for name, w in self._workspaces.items()})
        rows: list[Any] = []
        for step, (keep, take) in zip(steps, weights, strict=True):
            limits = (step.scale, *[float("inf")] * 3, 0.0, step.clip_value)
            rows.append(((limits, (0.0, keep, 0.0), (1.0, 0.0), {"lr": -take}), {}))
        self._table.step([step.grad for step in steps], rows, 1.0, False, False)


def table_of(workspaces: Mapping[str, Array]) -> Any:
    count = len(workspaces)
    arrays, nothing = list(workspaces.values()), [None] * count
    seen = {name: look(array) for name, array in workspaces.items()}
    reader = GradientReader(workspaces, seen, [{}] * count)
    table = runtime.table_type(
        arrays, [[]] * count, [[]] * count, nothing, nothing, [0] * count, reader
    )
    table.assign([("sgd", False, False)] * count, list(range(count)))
    return table
