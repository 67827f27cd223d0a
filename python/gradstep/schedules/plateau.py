"""The one schedule that has a memory."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

from gradstep.schedules.base import Schedule
from gradstep.values import check_count, check_entries, check_finite, check_metric, metric_of


class ReduceLROnPlateau(Schedule):
    """A value that is reduced when a metric has stopped getting better; PyTorch's of that name.

    It is a schedule: hand it to an optimizer, and tell it the metric, say after each epoch.

    Parameters
    ----------
    value : float > 0
        What it starts from.
    mode : "min" or "max"
        Whether a lower or a higher metric is better.
    factor : float in (0, 1)
        What the value is multiplied with.
    patience : int ≥ 0
        How many metrics in a row may be no better before it is.
    threshold : float ≥ 0, threshold_mode : "rel" or "abs"
        How much better counts: a share of the best metric, or a difference to it.
    cooldown : int ≥ 0
        How many metrics are not counted after a reduction.
    min_value : float in [0, value]
        What it is not reduced below.

    Raises
    ------
    TypeError, ValueError
        If a parameter is out of its range, or a metric is not a number.

    Examples
    --------
    >>> lr = ReduceLROnPlateau(0.1, factor=0.5, patience=1)
    >>> for loss in (1.0, 0.9, 0.9, 0.9):
    ...     lr.update(loss)
    >>> lr(0)
    0.05
    """

    def __init__(
        self,
        value: float,
        mode: Literal["min", "max"] = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: Literal["rel", "abs"] = "rel",
        cooldown: int = 0,
        min_value: float = 0.0,
    ) -> None:
        self.value = check_finite("value", value, 0.0, above_low=True)
        self.factor = check_finite("factor", factor, 0.0, above_low=True)
        if self.factor >= 1.0:
            raise ValueError(f"factor must be a number in (0, 1), got {factor!r}")
        self.patience = check_count("patience", patience, 0)
        self.cooldown = check_count("cooldown", cooldown, 0)
        self.threshold = check_finite("threshold", threshold, 0.0)
        self.min_value = check_finite("min_value", min_value, 0.0)
        if self.min_value > self.value:
            raise ValueError(
                f"min_value must not exceed value, which is {value!r}, got {min_value!r}"
            )
        if mode not in ("min", "max"):
            raise ValueError(f"mode must be 'min' or 'max', got {mode!r}")
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(f"threshold_mode must be 'rel' or 'abs', got {threshold_mode!r}")
        self.mode, self.threshold_mode = mode, threshold_mode
        self.best = math.inf if mode == "min" else -math.inf
        self.bad = 0  # metrics in a row that were no better
        self.cooling = 0  # metrics that are still not counted

    def value_at(self, step: int) -> float:
        return self.value

    def update(self, metric: float) -> None:
        """Take note of a metric. NaN is no better than any."""
        metric = metric_of(metric)
        value, best, bad, cooling = self.value, self.best, self.bad + 1, self.cooling
        if self._is_better(metric):
            best, bad = metric, 0
        if cooling > 0:
            cooling, bad = cooling - 1, 0
        if bad > self.patience:
            value = max(value * self.factor, min(value, self.min_value))
            cooling, bad = self.cooldown, 0
        self.value, self.best, self.bad, self.cooling = value, best, bad, cooling

    def _is_better(self, metric: float) -> bool:
        sign = 1.0 if self.mode == "min" else -1.0
        if self.threshold_mode == "abs" or math.isinf(self.best):
            return sign * metric < sign * self.best - self.threshold
        return sign * metric < sign * self.best * (1.0 - sign * self.threshold)

    def state_dict(self) -> dict[str, float]:
        """Its memory, as plain numbers."""
        return {name: getattr(self, name) for name in ("value", "best", "bad", "cooling")}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue where :meth:`state_dict` was taken.

        Raises
        ------
        TypeError, ValueError
            If it is no such state. Nothing has been changed then.
        """
        entries = check_entries(state_dict, "value", "best", "bad", "cooling")
        value = check_finite("value", entries["value"], 0.0)
        best = check_metric("best", entries["best"])
        bad = check_count("bad", entries["bad"], 0)
        cooling = check_count("cooling", entries["cooling"], 0)
        self.value, self.best, self.bad, self.cooling = value, best, bad, cooling

    def __repr__(self) -> str:
        names = ("mode", "factor", "patience", "threshold", "threshold_mode", "cooldown")
        options = ", ".join(f"{name}={getattr(self, name)!r}" for name in (*names, "min_value"))
        return f"ReduceLROnPlateau({self.value!r}, {options})"
