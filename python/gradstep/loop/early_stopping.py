"""Stopping when a metric has stopped getting better."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

from numpy.typing import NDArray

from gradstep.arrays.at_once import at_once, filled
from gradstep.arrays.groups import named_arrays
from gradstep.arrays.loans import refuse_lent
from gradstep.arrays.parameters import check_param
from gradstep.values import (
    check_count,
    check_entries,
    check_finite,
    check_flag,
    check_metric,
    metric_of,
    own_dict,
    reading,
    shown,
)

Array = NDArray[Any]


class EarlyStopping:
    """Says when to stop, and keeps the best parameters.

    Parameters
    ----------
    patience : int ≥ 0
        How many metrics in a row may be no better than the best; the next one stops.
    min_delta : float ≥ 0
        How much better counts.
    mode : "min" or "max"
        Whether a lower or a higher metric is better.
    restore_best : bool
        Keep a copy of the parameters at the best metric, for :meth:`restore`.

    Raises
    ------
    TypeError, ValueError
        If a parameter is out of its range, or a metric is not a number.

    Examples
    --------
    >>> import numpy as np, gradstep as gs
    >>> params = {"w": np.zeros(1)}
    >>> stopping = gs.EarlyStopping(patience=1)
    >>> for loss in (1.0, 0.5, 0.7, 0.8, 0.1):
    ...     params["w"] += 1
    ...     if stopping.update(loss, params):
    ...         break
    >>> stopping.restore(params)
    >>> loss, stopping.best, params["w"]
    (0.8, 0.5, array([2.]))
    """

    def __init__(
        self,
        patience: int = 10,
        min_delta: float = 0.0,
        mode: Literal["min", "max"] = "min",
        restore_best: bool = True,
    ) -> None:
        self.patience = check_count("patience", patience, 0)
        self.min_delta = check_finite("min_delta", min_delta, 0.0)
        self.restore_best = check_flag("restore_best", restore_best)
        if mode not in ("min", "max"):
            raise ValueError(f"mode must be 'min' or 'max', got {mode!r}")
        self.mode = mode
        self.best = math.inf if mode == "min" else -math.inf
        self.bad = 0  # metrics in a row that were no better
        self._kept: dict[str, Array] | None = None

    def __repr__(self) -> str:
        kept = "nothing kept" if self._kept is None else f"{len(self._kept)} tensors kept"
        return (
            f"EarlyStopping(patience={self.patience}, min_delta={self.min_delta!r}, "
            f"mode={self.mode!r}; best={self.best!r}, bad={self.bad}, {kept})"
        )

    def update(self, metric: float, params: Any = None) -> bool:
        """Take note of a metric, NaN being no better than any; True when it is time to stop.

        `params` is what the optimizer was given; it is copied where the metric is the best so far,
        and not needed with ``restore_best=False``.
        """
        metric = metric_of(metric)
        if params is None and self.restore_best:
            raise TypeError(
                "update() needs the parameters, to keep the best: update(metric, params); or make "
                "it with restore_best=False"
            )
        sign = 1.0 if self.mode == "min" else -1.0
        if sign * metric < sign * self.best - self.min_delta:
            kept = copies(named_arrays(params)) if self.restore_best else self._kept
            self.best, self.bad, self._kept = metric, 0, kept
        else:
            self.bad += 1
        return self.bad > self.patience

    def restore(self, params: Any) -> None:
        """Set `params` to what they were at the best metric.

        What an optimizer keeps beside parameters in half precision, with ``rounding="kahan"`` or
        ``"split"``, is of its last step: a checkpoint brings back that of the best one, too.

        Raises
        ------
        RuntimeError
            If nothing was kept, or the parameters hold other values for the time of
            ``swap_averages()`` or ``lookahead()``, which would be put back over the best ones.
        ValueError
            If `params` are not those of :meth:`update`. Nothing has been changed then.
        """
        best = self._kept
        if best is None:
            raise RuntimeError(
                "no parameters were kept: call update() first, with restore_best=True and a metric "
                "that is not NaN or the worst infinity"
            )
        now = named_arrays(params)
        refuse_lent("restore()", now.values())
        forms = {name: (array.shape, array.dtype.name) for name, array in now.items()}
        kept = {name: (array.shape, array.dtype.name) for name, array in best.items()}
        if forms != kept:
            raise ValueError(f"params must be those of update(), {kept}; got {forms}")
        at_once(filled(array, best[name]) for name, array in now.items())()

    def state_dict(self) -> dict[str, Any]:
        """The best metric, how many were no better since, and copies of the kept parameters."""
        kept = None if self._kept is None else copies(self._kept)
        return {"best": self.best, "bad": self.bad, "kept": kept}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue where :meth:`state_dict` was taken.

        Raises
        ------
        TypeError, ValueError
            If it is no such state. Nothing has been changed then.
        """
        entries = check_entries(state_dict, "best", "bad", "kept")
        best = check_metric("best", entries["best"])
        bad = check_count("bad", entries["bad"], 0)
        with reading("kept in state_dict"):
            kept = own_dict(entries["kept"])
        if kept is not None:
            if not isinstance(kept, dict):
                raise TypeError(f"kept must be a dict of arrays or None, got {shown(kept)}")
            kept = copies({name: check_param(name, array) for name, array in kept.items()})
        self.best, self.bad, self._kept = best, bad, kept


def copies(arrays: Mapping[str, Array]) -> dict[str, Array]:
    return {name: array.copy(order="K") for name, array in arrays.items()}
