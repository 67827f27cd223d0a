"""What the rows of a step carry beside coefficients, where it needs more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradstep.directions.table import DirectedRows, Evaluated
from gradstep.method.rows import draws
from gradstep.optimizer.cohorts import Cohort
from gradstep.optimizer.settings import Settings

Rows = list[tuple[Any, ...]]


def with_settings(
    rows: Rows, settings: Sequence[Settings], cohorts: Sequence[Cohort], steps: int
) -> Rows:
    """The same, with what directions are computed by."""
    known = DirectedRows(rows)
    known.of = [
        Evaluated(settings[cohort.group].last, steps - cohort.behind + 1) for cohort in cohorts
    ]
    return known


def with_draws(
    rows: Rows, settings: Sequence[Settings], cohorts: Sequence[Cohort], steps: int
) -> Rows:
    """The same, with what stands for the step in the rows of cohorts that draw."""
    drawing: Rows = []
    for row, cohort in zip(rows, cohorts, strict=True):
        of_group = settings[cohort.group]
        if of_group.plan.draws:
            row = (*row, draws(of_group.values["seed"], steps - cohort.behind + 1))
        drawing.append(row)
    return drawing
