"""Averaged stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gradstep.method.hyperparameters import Number
from gradstep.method.method import Method
from gradstep.method.options import COUPLED_DECAY
from gradstep.method.slots import Slot
from gradstep.values import power


class ASGD(Method):
    r"""Averaged SGD: a decaying step, and the average of the parameters from step t0 on.

    ::

        p ← (1 − λ·η)·p − η·g,   η = lr/(1 + λ·lr·(t−1))^α
        a ← a + μ·(p − a),       μ = 1/max(1, t−1−t0)

    Notes
    -----
    State: 4 bytes per float32 parameter (``ax``, the average; evaluate with it). For convex
    problems and linear models; for networks an average with ``ema_decay`` is the better choice. The
    step size is computed from the lr in force, where PyTorch uses the one of the step before.

    Polyak and Juditsky, "Acceleration of Stochastic Approximation by Averaging", 1992; step sizes
    after Bottou's SGD, as in PyTorch.

    Examples
    --------
    >>> import numpy as np, gradstep as gs
    >>> w = np.array([1.0])
    >>> opt = gs.ASGD(w, lr=0.1, t0=0)
    >>> for _ in range(2):
    ...     info = opt.step(np.array([1.0]))
    >>> w.round(4), opt.state["0"]["ax"].round(4)
    (array([0.8]), array([0.8]))
    """

    lr = Number(1e-2, "The first step size.")
    lambd = Number(1e-4, "Decay λ of the parameters and of the step size.")
    alpha = Number(0.75, "Power of the step size's decay.")
    t0 = Number(
        1e6,
        "The step after which averaging begins; until then the average is the parameter itself.",
    )
    weight_decay = COUPLED_DECAY

    ax = Slot(values="exact")

    def rule(self, h: Mapping[str, Any]) -> str:
        return "asgd"

    def coefficients(self, rule: str, h: Mapping[str, Any]) -> dict[str, float]:
        return {}

    def step_coefficients(self, rule: str, h: Mapping[str, Any], t: int) -> dict[str, float]:
        lr, lambd = h["lr"], h["lambd"]
        eta = lr / power(1.0 + lambd * lr * (t - 1), h["alpha"])
        take = 1.0 / max(1.0, t - 1 - h["t0"])
        return {"shrink": 1.0 - lambd * eta, "eta": eta, "keep": 1.0 - take, "take": take}
