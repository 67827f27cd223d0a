"""Rprop: step sizes from the signs of full-batch gradients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gradstep.method.hyperparameters import Number, Numbers
from gradstep.method.method import Method
from gradstep.method.options import COUPLED_DECAY
from gradstep.method.slots import Slot


class Rprop(Method):
    r"""Rprop: every element has its own step size, which grows while the gradient keeps its sign.

    ::

        Δ ← clamp(Δ·η₊, Δmin, Δmax)                where g has kept its sign
        Δ ← clamp(Δ·η₋, Δmin, Δmax),   g ← 0       where it has changed
        p ← p − Δ·sign(g)

    Notes
    -----
    State: 8 bytes per float32 parameter (``prev``, ``step_size``). For full-batch training of small
    models, where it needs no tuning; with mini-batches signs change by chance and it fails (use
    :class:`RMSprop`). As in PyTorch: without weight backtracking.

    Riedmiller and Braun, "A Direct Adaptive Method for Faster Backpropagation Learning: The RPROP
    Algorithm", ICNN 1993.

    Examples
    --------
    >>> import numpy as np, gradstep as gs
    >>> w = np.zeros(2)
    >>> opt = gs.Rprop(w, lr=0.5)
    >>> for _ in range(2):
    ...     info = opt.step(np.array([1e-9, -5.0]))
    >>> w.round(6), opt.state["0"]["step_size"]
    (array([-1.1,  1.1]), array([0.6, 0.6]))
    """

    lr = Number(1e-2, "The first step size of every element; later changes have no effect.")
    etas = Numbers(
        (0.5, 1.2),
        "Factors on a step size when the sign has changed, and when it has not.",
        each=(Number(high=1.0, above_low=True), Number(low=1.0, above_low=True)),
    )
    step_sizes = Numbers(
        (1e-6, 50.0),
        "The smallest and the largest step size.",
        each=(Number(above_low=True), Number(above_low=True)),
    )
    weight_decay = COUPLED_DECAY

    prev = Slot()
    step_size = Slot("lr", values="exact")

    def rule(self, h: Mapping[str, Any]) -> str:
        return "rprop"

    def coefficients(self, rule: str, h: Mapping[str, Any]) -> dict[str, float]:
        (eta_minus, eta_plus), (step_min, step_max) = h["etas"], h["step_sizes"]
        return {
            "eta_minus": eta_minus,
            "eta_plus": eta_plus,
            "step_min": step_min,
            "step_max": step_max,
        }
