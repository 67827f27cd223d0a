"""Adamax: Adam with a maximum for a root."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gradstep.method.hyperparameters import Number, decays
from gradstep.method.method import Method
from gradstep.method.options import CAUTIOUS, COUPLED_DECAY
from gradstep.method.slots import Slot


class Adamax(Method):
    r"""Adamax: Adam with the largest recent gradient in place of the root.

    ::

        m ← β1·m + (1−β1)·g
        u ← max(β2·u, |g| + ε)
        p ← p − lr/(1−β1ᵗ)·m/u

    Notes
    -----
    State: 8 bytes per float32 parameter (``exp_avg``, ``exp_inf``). For embeddings and sparse
    gradients, where a mean square forgets too fast.

    Kingma and Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, arXiv:1412.6980, section
    7.1.

    Examples
    --------
    >>> import numpy as np, gradstep as gs
    >>> w = np.zeros(3)
    >>> opt = gs.Adamax(w, lr=0.01)
    >>> for _ in range(1):
    ...     info = opt.step(np.array([1e-3, 1.0, -1e3]))
    >>> w.round(4)
    array([-0.01, -0.01,  0.01])
    """

    lr = Number(2e-3, "Step size: no element moves much further per step.")
    betas = decays((0.9, 0.999), "Decay of the averages of the gradient and of its maximum.")
    eps = Number(1e-8, "Added to ``|g|``.", above_low=True)
    weight_decay = COUPLED_DECAY
    cautious = CAUTIOUS

    exp_avg = Slot()
    exp_inf = Slot(values="squares")

    def rule(self, h: Mapping[str, Any]) -> str:
        return "adamax"

    def coefficients(self, rule: str, h: Mapping[str, Any]) -> dict[str, float]:
        beta1, beta2 = h["betas"]
        return {"beta1": beta1, "one_minus_beta1": 1.0 - beta1, "beta2": beta2, "eps": h["eps"]}

    def step_coefficients(self, rule: str, h: Mapping[str, Any], t: int) -> dict[str, float]:
        return {"step_size": h["lr"] / (1.0 - h["betas"][0] ** t)}
