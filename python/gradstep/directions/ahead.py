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

    def __init__(self, workspaces: Mapping[str, Array], products: Products) -> None:
        count, nothing = len(workspaces), [None] * len(workspaces)
        views = {name: products.view(workspace) for name, workspace in workspaces.items()}
        seen = {name: look(view) for name, view in views.items()}
        reader = GradientReader(views, seen, [{}] * count)
        arrays = list(views.values())
        self._table = runtime.table_type(
            arrays, [[]] * count, [[]] * count, nothing, nothing, [0] * count, reader
        )
        self._table.assign([("sgd", False, False)] * count, list(range(count)))

    def average(self, steps: Sequence[Step], weights: Sequence[tuple[float, float]]) -> None:
        """Each workspace w ← keep·w + take·g, g being the gradient, scaled and clipped."""
        rows: list[Any] = []
        for step, (keep, take) in zip(steps, weights, strict=True):
            limits = (step.scale, *[float("inf")] * 3, 0.0, step.clip_value)
            rows.append(((limits, (0.0, keep, 0.0), (1.0, 0.0), {"lr": -take}), {}))
        self._table.step([step.grad for step in steps], rows, 1.0, False, False)
