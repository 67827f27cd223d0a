"""Prodigy: Adam that finds its step size."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from gradstep.method.hyperparameters import Flag, Number, decays
from gradstep.method.method import Method
from gradstep.method.options import DECOUPLED
from gradstep.method.rows import limit
from gradstep.method.slots import Slot
from gradstep.methods.adam import averages


class Prodigy(Method):
    r"""Prodigy: Adam that estimates the distance to the solution, d, and steps accordingly.

    ::

        a ← β3·a + (d/d0)·d·lr·Σ⟨g, p0 − p⟩         s ← β3·s + (d/d0)·d·lr·g
        m ← β1·m + d·(1−β1)·g                       v ← β2·v + d²·(1−β2)·g²
        d' = c·a/Σ‖s‖₁, never less than d           p ← p − d·lr·m/(√v + d'·ε)

    Sums are over all tensors, of all groups, so that there is one d; of groups the first's ``d0``,
    ``d_coef``, ``growth_rate`` and β3 count. p0 is each parameter before its first step. Weight
    decay is λ·d·lr, and ``l1`` is refused.

    Notes
    -----
    State: 16 bytes per float32 parameter (``exp_avg``, ``exp_avg_sq``, ``s``, ``p0``) and three
    numbers, which every tensor shows (``opt.state[name]["d"]``, ``d_max``, ``d_numerator``). Leave
    lr at 1, with a schedule that ends at zero, say; where d grows too far, set ``d_coef`` to 0.5 or
    ``growth_rate`` to 1.02. No step can be taken in the backward pass, as it is of all tensors.
    ``l1`` is refused, as its threshold, lr·l1, would not follow d.

    Mishchenko and Defazio, "Prodigy: An Expeditiously Adaptive Parameter-Free Learner", ICML 2024,
    arXiv:2306.06101.

    Examples
    --------
    >>> import numpy as np, gradstep as gs
    >>> w = np.full(2, 3.0)
    >>> opt = gs.Prodigy(w)
    >>> for _ in range(300):
    ...     info = opt.step(2 * w)
    >>> bool(np.all(abs(w) < 0.3)), bool(opt.state["0"]["d"] > 0.01)
    (True, True)
    """

    lr = Number(1.0, "Factor on the step size that is found.")
    betas = decays((0.9, 0.999), "Decay of the averages of the gradient and of its square.")
    beta3 = Number(None, "Decay of s and a; None: the root of β2.", high=1.0, optional=True)
    eps = Number(1e-8, "Times d added to the root.")
    weight_decay = Number(0.0, "λ, decoupled unless ``decoupled_weight_decay=False``.")
    use_bias_correction = Flag(False, "Correct lr by √(1−β2ᵗ)/(1−β1ᵗ).")
    safeguard_warmup = Flag(False, "Leave lr out of what s adds up: for schedules that warm up.")
    d0 = Number(1e-6, "d at first: less than the distance to the solution.", above_low=True)
    d_coef = Number(1.0, "c: factor on the estimate.", above_low=True)
    growth_rate = Number(None, "Let d grow by this factor a step at most.", low=1.0, optional=True)
    decoupled_weight_decay = DECOUPLED

    exp_avg = Slot()
    exp_avg_sq = Slot(values="squares")
    s = Slot()
    p0 = Slot(values="exact")
    d = Slot("d0", kind="scalar", format="float64")
    d_max = Slot("d0", kind="scalar", format="float64")
    d_numerator = Slot(kind="scalar", format="float64")

    def rule(self, h: Mapping[str, Any]) -> str:
        if h["l1"]:
            raise ValueError(
                "l1 would draw parameters by lr·l1, which knows nothing of the step size that is "
                "found; leave it out, or use AdamW"
            )
        return "prodigy"

    def penalties(self, h: Mapping[str, Any]) -> tuple[float, ...]:
        coupled, _, l1 = super().penalties(h)
        return coupled, 1.0, l1

    def coefficients(self, rule: str, h: Mapping[str, Any]) -> dict[str, float]:
        beta1, beta2 = h["betas"]
        beta3 = math.sqrt(beta2) if h["beta3"] is None else h["beta3"]
        decay = h["weight_decay"] if h["decoupled_weight_decay"] else 0.0
        own = {name: h[name] for name in ("eps", "d0", "d_coef")}
        own |= {"beta3": beta3, "weight_decay": decay, "growth_rate": limit(h["growth_rate"])}
        return {**averages(beta1, beta2), **own}

    def step_coefficients(self, rule: str, h: Mapping[str, Any], t: int) -> dict[str, float]:
        beta1, beta2 = h["betas"]
        lr: float = h["lr"]
        if h["use_bias_correction"]:
            lr *= math.sqrt(1.0 - beta2**t) / (1.0 - beta1**t)
        s_lr = 1.0 if h["safeguard_warmup"] else lr
        return {"lr": lr, "s_lr": s_lr, "start": 1.0 if t == 1 else 0.0}
