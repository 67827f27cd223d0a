"""Numbers that PyTorch carries in its state from step to step, and ours compute from the count.

Both are the same while hyperparameters are. Where a scheduler of PyTorch's changes them, its
carried numbers remember those of before; then ours are carried, too.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from gradstep.methods.adam_variants import momentum_at
from gradstep.optimizer.cohorts import Cohort
from gradstep.optimizer.rows_of_step import Rows
from gradstep.optimizer.settings import Settings
from gradstep.saving.torch_kinds import derived
from gradstep.values import shown

KEYS = {"NAdam": ("mu_product",), "ASGD": ("eta", "mu")}
DEPENDS_ON = {"NAdam": {"betas", "momentum_decay"}, "ASGD": {"lr", "lambd", "alpha", "t0"}}


class Carried:
    """Those of all parameters of an optimizer, of its kind; mostly there are none.

    Parameters
    ----------
    kind
        The optimizer's name.
    states
        What users see of each parameter's state.
    cohorts, settings, steps
        Of the optimizer; where the state does not say it, the numbers follow from the counts.
    dtype
        Of what users see.
    """

    def __init__(
        self,
        kind: str,
        states: Sequence[Mapping[str, Any]],
        cohorts: Sequence[Cohort],
        settings: Sequence[Settings],
        steps: int,
        dtype: DTypeLike,
    ) -> None:
        self._kind = kind
        self._values = {key: np.zeros(len(states)) for key in KEYS.get(kind, ())}
        for cohort in cohorts if self._values else ():
            h = settings[cohort.group].at(max(steps - 1, 0))
            self._set(cohort.members, derived(kind, h, steps - cohort.behind))
        self.varied = False  # whether the state says something else than follows from the counts
        rounding = 8 * float(np.finfo(dtype).eps)
        for i, state in enumerate(states):
            for key, values in self._values.items():
                said = number(key, state[key]) if key in state else values[i]
                if not math.isclose(said, values[i], rel_tol=rounding, abs_tol=1e-12):
                    self._set([i], {key: said})
                    self.varied = True
        self.shown = {key: values.astype(dtype) for key, values in self._values.items()}

    @property
    def depends_on(self) -> Collection[str]:
        """The hyperparameters that have to stay for the numbers to follow from the counts."""
        return DEPENDS_ON.get(self._kind, set())

    def split(self, cohorts: Sequence[Cohort]) -> list[Cohort]:
        """Cohorts whose members have carried the same, too."""
        split = []
        for cohort in cohorts:
            alike: dict[tuple[float, ...], list[int]] = {}
            for i in cohort.members:
                alike.setdefault(tuple(self._of(i).values()), []).append(i)
            split += [replace(cohort, members=members) for members in alike.values()]
        return split

    def into_rows(
        self, rows: Rows, cohorts: Sequence[Cohort], settings: Sequence[Settings], steps: int
    ) -> Rows:
        """Rows with the coefficients that follow from what has been carried."""
        changed: Rows = []
        for row, cohort in zip(rows, cohorts, strict=True):
            h, carried = settings[cohort.group].at(steps), self._of(cohort.members[0])
            own = step_coefficients(self._kind, h, steps - cohort.behind + 1, carried)
            changed.append((row[0], row[1] | own, *row[2:]))
        return changed

    def begin(self, i: int, h: Mapping[str, Any]) -> None:
        """Before the first step of a parameter."""
        if self._values:
            self._set([i], derived(self._kind, h, 0))

    def go_on(
        self,
        cohorts: Sequence[Cohort],
        settings: Sequence[Settings],
        steps: int,
        absent: Collection[int],
        varied: bool,
    ) -> None:
        """After a step of all but the absent ones; whether hyperparameters have varied."""
        for cohort in self.split(cohorts) if varied else cohorts:
            members = [i for i in cohort.members if i not in absent]
            if not members:
                continue
            h, count = settings[cohort.group].at(max(steps - 1, 0)), steps - cohort.behind
            if varied and self._kind == "NAdam":
                mu = momentum_at(h["betas"][0], h["momentum_decay"], count)
                self._set(members, {"mu_product": self._of(members[0])["mu_product"] * mu})
            else:
                self._set(members, derived(self._kind, h, count))

    def _of(self, i: int) -> dict[str, float]:
        return {key: float(values[i]) for key, values in self._values.items()}

    def _set(self, members: Sequence[int], numbers: Mapping[str, float]) -> None:
        shown: dict[str, NDArray[Any]] = vars(self).get("shown", {})
        for key, value in numbers.items():
            self._values[key][members] = value
            if key in shown:
                shown[key][members] = value


def number(key: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(
            f"state[{key!r}] must be a number, or a tensor of one, got {shown(value)}; load the "
            "state of an optimizer of this kind, or let it begin anew: del opt.state[p]"
        ) from None


def step_coefficients(
    kind: str, h: Mapping[str, Any], t: int, carried: Mapping[str, float]
) -> dict[str, float]:
    """Those of step `t` that depend on what has been carried to it."""
    if kind == "ASGD":
        eta, mu = carried["eta"], carried["mu"]
        return {"shrink": 1.0 - h["lambd"] * eta, "eta": eta, "keep": 1.0 - mu, "take": mu}
    beta1, decay = h["betas"][0], h["momentum_decay"]
    mu, following = (momentum_at(beta1, decay, t + ahead) for ahead in (0, 1))
    product = carried["mu_product"] * mu
    return {
        "grad_step": h["lr"] * (1.0 - mu) / (1.0 - product),
        "avg_step": h["lr"] * following / (1.0 - product * following),
    }
