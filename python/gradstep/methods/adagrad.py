"""Adagrad and Adadelta: per-element step sizes from sums of squares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gradstep.method.hyperparameters import Number
from gradstep.method.method import Method
from gradstep.method.options import COUPLED_DECAY, EPS_INSIDE_SQRT
from gradstep.method.slots import Slot


def eps_in_its_place(h: Mapping[str, Any]) -> dict[str, float]:
    """ε inside or outside the root; the other place gets 0, which changes nothing there."""
    inside = h["eps_inside_sqrt"]
    return {
        "eps_inside": h["eps"] if inside else 0.0,
        "eps_outside": 0.0 if inside else h["eps"],
    }


class Adagrad(Method):
    r"""Adagrad: step sizes that fall with the sum of all squared gradients of an element.

    ::

        s ← s + g²
        p ← p − lr_t·g/(√s + ε),   lr_t = lr/(1 + (t−1)·lr_decay)

    Notes
    -----
    State: 4 bytes per float32 parameter (``sum``). For sparse features (text, click data), where
    rare ones deserve large steps; in long runs on networks its steps become too small.

    Duchi, Hazan and Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic
    Optimization", JMLR 12, 2011.

    Examples
    --------
    >>> import numpy as np, gradstep as gs
    >>> w = np.zeros(2)
    >>> opt = gs.Adagrad(w, lr=0.5)
    >>> for _ in range(2):
    ...     info = opt.step(np.array([1e-3, -5.0]))
    >>> w.round(4)
    array([-0.8536,  0.8536])
    """

    lr = Number(1e-2, "Step size.")
    lr_decay = Number(0.0, "Decay of lr on top.")
    weight_decay = COUPLED_DECAY
    initial_accumulator_value = Number(0.0, "What s starts from.")
    eps = Number(1e-10, "Added to the root.")
    eps_inside_sqrt = EPS_INSIDE_SQRT

    sum = Slot("initial_accumulator_value", values="exact")

    def rule(self, h: Mapping[str, Any]) -> str:
        return "adagrad"

    def coefficients(self, rule: str, h: Mapping[str, Any]) -> dict[str, float]:
        return eps_in_its_place(h)

    def step_coefficients(self, rule: str, h: Mapping[str, Any], t: int) -> dict[str, float]:
        return {"lr": h["lr"] / (1.0 + (t - 1) * h["lr_decay"])}


class Adadelta(Method):
    r"""Adadelta: steps in units of the parameters, from running averages of steps and gradients.

    ::

        s ← ρ·s + (1−ρ)·g²
        δ ← √(a + ε)/√(s + ε)·g
        a ← ρ·a + (1−ρ)·δ²
        p ← p − lr·δ

    Notes
    -----
    State: 8 bytes per float32 parameter (``square_avg``, ``acc_delta``). Its steps have the units
    of the parameters, so that lr = 1 is a start where nothing is known; where it is tuned it can be
    30 times as large. Slow to start, and mostly surpassed by Adam.

    Zeiler, "ADADELTA: An Adaptive Learning Rate Method", 2012, arXiv:1212.5701.

    Examples
    --------
    >>> import numpy as np, gradstep as gs
    >>> w = np.zeros(2)
    >>> opt = gs.Adadelta(w)
    >>> for _ in range(2):
    ...     info = opt.step(np.array([1.0, -5.0]))
    >>> w.round(4)
    array([-0.0064,  0.0064])
    """

    lr = Number(1.0, "Factor on the step; 1 in the paper.")
    rho = Number(0.9, "Decay of both averages.", high=1.0)
    eps = Number(
        1e-6, "Added under both roots; it sets the size of the first steps.", above_low=True
    )
    weight_decay = COUPLED_DECAY

    square_avg = Slot(values="squares")
    acc_delta = Slot(values="squares")

    def rule(self, h: Mapping[str, Any]) -> str:
        return "adadelta"

    def coefficients(self, rule: str, h: Mapping[str, Any]) -> dict[str, float]:
        rho = h["rho"]
        return {"lr": h["lr"], "rho": rho, "one_minus_rho": 1.0 - rho, "eps": h["eps"]}
