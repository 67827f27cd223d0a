"""FTRL-Proximal: sparse linear models, online."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gradstep.method.hyperparameters import Number
from gradstep.method.method import Method
from gradstep.method.options import COUPLED_DECAY
from gradstep.method.slots import Slot


class FTRL(Method):
    r"""FTRL-Proximal: Adagrad's steps with an L1 penalty that gives truly sparse models.

    ::

        σ = (√(n + g²) − √n)/lr,   z ← z + g − σ·p,   n ← n + g²
        p ← 0 where |z| ≤ λ1,   else −(z − sign(z)·λ1)/((β + √n)/lr + λ2)

    Notes
    -----
    State: 8 bytes per float32 parameter (``z``, ``n``). For logistic regression on huge sparse
    data, one example at a time; not for networks. Parameters are a function of z alone: whatever
    they are at first is forgotten, and an element without any gradient yet is set to 0.

    McMahan et al., "Ad Click Prediction: a View from the Trenches", KDD 2013, Algorithm 1.

    Examples
    --------
    >>> import numpy as np, gradstep as gs
    >>> w = np.zeros(2)
    >>> opt = gs.FTRL(w, lr=0.5, l1=1.0)
    >>> for _ in range(2):
    ...     info = opt.step(np.array([0.1, -2.0]))
    >>> w.round(4)
    array([0.    , 0.4279])
    """

    lr = Number(0.1, "Step size α of the paper.", above_low=True)
    beta = Number(1.0, "Smooths the first steps.")
    l2 = Number(0.0, "λ2.")
    weight_decay = COUPLED_DECAY
    initial_accumulator_value = Number(0.0, "What n starts from; Keras and TensorFlow use 0.1.")
    l1 = Number(
        0.0, "λ1. It is part of the rule here, in place of the proximal step of other optimizers."
    )

    z = Slot(values="exact")
    n = Slot("initial_accumulator_value", values="exact")

    def rule(self, h: Mapping[str, Any]) -> str:
        return "ftrl"

    def penalties(self, h: Mapping[str, Any]) -> tuple[float, ...]:
        coupled, decay, _ = super().penalties(h)
        return coupled, decay, 0.0

    def coefficients(self, rule: str, h: Mapping[str, Any]) -> dict[str, float]:
        return {"lr": h["lr"], "beta": h["beta"], "lambda1": h["l1"], "lambda2": h["l2"]}
