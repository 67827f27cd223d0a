"""ADOPT and LaProp: gradients are normalised first and averaged afterwards."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from gradstep.method.hyperparameters import Flag, Number, decays
from gradstep.method.method import Method
from gradstep.method.options import CAUTIOUS, COUPLED_DECAY, DECOUPLED, DECOUPLED_DECAY
from gradstep.method.slots import Slot
from gradstep.methods.adam import averages, bias_corrections
from gradstep.values import power


class ADOPT(Method):
    r"""ADOPT: Adam that divides by the second moment of the step before, and converges for any β2.

    ::

        n = clamp(g/max(√v, ε), ±t^c)
        m ← β1·m + (1−β1)·n
        p ← p − lr·m
        v ← β2·v + (1−β2)·g²

    Notes
    -----
    State: 8 bytes per float32 parameter (``exp_avg``, ``exp_avg_sq``). In place of Adam where it is
    unstable; the first step only sets v = g² and moves nothing.

    Taniguchi et al., "ADOPT: Modified Adam Can Converge with Any β2 with the Optimal Rate", NeurIPS
    2024, arXiv:2411.02853.

    Examples
    --------
    >>> import numpy as np, gradstep as gs
    >>> w = np.zeros(2)
    >>> opt = gs.ADOPT(w, lr=0.01)
    >>> for _ in range(2):
    ...     info = opt.step(np.array([1e-3, -5.0]))
    >>> w.round(4)
    array([-0.001,  0.001])
    """

    lr = Number(1e-3, "Step size.")
    betas = decays((0.9, 0.9999), "Decay of the averages of the gradient and of its square.")
    eps = Number(1e-6, "Least denominator.", above_low=True)
    weight_decay = COUPLED_DECAY
    clip_exponent = Number(
        0.25,
        "c: normalised gradients are limited to t^c at step t; None does not limit them.",
        optional=True,
    )
    cautious = CAUTIOUS

    exp_avg = Slot()
    exp_avg_sq = Slot(values="squares")

    def rule(self, h: Mapping[str, Any]) -> str:
        return "adopt"

    def coefficients(self, rule: str, h: Mapping[str, Any]) -> dict[str, float]:
        return {"lr": h["lr"], "eps": h["eps"]}

    def step_coefficients(self, rule: str, h: Mapping[str, Any], t: int) -> dict[str, float]:
        # The first step takes g² for v, and leaves m and p alone.
        weights = averages(*h["betas"]) if t > 1 else averages(1.0, 0.0)
        exponent = h["clip_exponent"]
        limit = math.inf if exponent is None and t > 1 else power(float(t), exponent or 0.0)
        return {**weights, "limit": limit}


class LaProp(Method):
    r"""LaProp: Adam that normalises gradients first and averages them afterwards.

    ::

        v ← β2·v + (1−β2)·g²
        m ← β1·m + (1−β1)·g/(√v/√(1−β2ᵗ) + ε)
        p ← p − lr·m/(1−β1ᵗ)

    Notes
    -----
    State: 8 bytes per float32 parameter (``exp_avg``, ``exp_avg_sq``), 12 with AMSGrad
    (``max_exp_avg_sq``). Where Adam needs a small β2 or a large β1: the two do not disturb each
    other here. lr multiplies the average, where some implementations average lr·gradient.

    Ziyin, Wang and Ueda, "LaProp: Separating Momentum and Adaptivity in Adam", 2020,
    arXiv:2002.04839.

    Examples
    --------
    >>> import numpy as np, gradstep as gs
    >>> w = np.zeros(3)
    >>> opt = gs.LaProp(w, lr=0.01)
    >>> for _ in range(1):
    ...     info = opt.step(np.array([1e-3, 1.0, -1e3]))
    >>> w.round(4)
    array([-0.01, -0.01,  0.01])
    """

    lr = Number(4e-4, "Step size.")
    betas = decays((0.9, 0.999), "Decay of the averages of the gradient and of its square.")
    eps = Number(1e-15, "Added to the root, after bias correction.")
    weight_decay = DECOUPLED_DECAY
    amsgrad = Flag(False, "Never let the denominator shrink.")
    cautious = CAUTIOUS
    decoupled_weight_decay = DECOUPLED

    exp_avg = Slot()
    exp_avg_sq = Slot(values="squares")
    max_exp_avg_sq = Slot(values="squares")

    def rule(self, h: Mapping[str, Any]) -> str:
        return "laprop_amsgrad" if h["amsgrad"] else "laprop"

    def coefficients(self, rule: str, h: Mapping[str, Any]) -> dict[str, float]:
        return {**averages(*h["betas"]), "eps": h["eps"]}

    def step_coefficients(self, rule: str, h: Mapping[str, Any], t: int) -> dict[str, float]:
        return bias_corrections(h, t)
