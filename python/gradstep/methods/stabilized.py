"""StableAdamW and MARS: Adam that limits by a norm of each tensor what goes wrong in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gradstep.method.hyperparameters import Number, decays
from gradstep.method.method import Method
from gradstep.method.options import CAUTIOUS, DECOUPLED, DECOUPLED_DECAY
from gradstep.method.slots import Slot
from gradstep.methods.adam import averages, bias_corrections


class StableAdamW(Method):
    r"""StableAdamW: AdamW that shortens the steps of tensors whose gradients outgrow their average.

    ::

        m ← b1·m + (1−b1)·g              v ← b2·v + (1−b2)·g²
        α = lr/max(1, √mean(g²/max(v, ε²)))
        p ← (1−α·λ)·p − α·m/(√v + ε)

    where b = β·(1−βᵗ⁻¹)/(1−βᵗ), so that the averages are free of bias.

    Notes
    -----
    State: 8 bytes per float32 parameter (``exp_avg``, ``exp_avg_sq``). AdamW with the update
    clipping of Adafactor: for large models whose loss spikes; it replaces clipping by norm.
    Gradient and ``exp_avg_sq`` are read once more for the mean. ``l1`` draws by lr, and not by α.

    Wortsman et al., "Stable and low-precision training for large-scale vision-language models",
    NeurIPS 2023, arXiv:2304.13013.

    Examples
    --------
    >>> import numpy as np, gradstep as gs
    >>> w = np.zeros(2)
    >>> opt = gs.StableAdamW(w, lr=0.1, betas=(0.0, 0.75), weight_decay=0.0)
    >>> for g in (1.0, 5.0):
    ...     info = opt.step(np.full(2, g))
    >>> w.round(4)  # 0.1, and 0.1 without the limit 1/√(25/14.71)
    array([-0.2, -0.2])
    """

    lr = Number(1e-3, "Step size.")
    betas = decays((0.9, 0.99), "Decay of the averages of the gradient and of its square.")
    eps = Number(1e-6, "Added to the root.", above_low=True)
    weight_decay = Number(0.01, "λ: with the step's own size, or coupled (L2).")
    decoupled_weight_decay = DECOUPLED

    exp_avg = Slot()
    exp_avg_sq = Slot(values="squares")

    def rule(self, h: Mapping[str, Any]) -> str:
        return "stable_adamw"

    def penalties(self, h: Mapping[str, Any]) -> tuple[float, ...]:
        coupled, _, l1 = super().penalties(h)
        return coupled, 1.0, l1

    def coefficients(self, rule: str, h: Mapping[str, Any]) -> dict[str, float]:
        decay = h["weight_decay"] if h["decoupled_weight_decay"] else 0.0
        eps: float = h["eps"]
        return {"lr": h["lr"], "eps": eps, "eps_squared": eps * eps, "weight_decay": decay}

    def step_coefficients(self, rule: str, h: Mapping[str, Any], t: int) -> dict[str, float]:
        beta1, beta2 = (beta * (1.0 - beta ** (t - 1)) / (1.0 - beta**t) for beta in h["betas"])
        return averages(beta1, beta2)


class MARS(Method):
    r"""MARS: AdamW on gradients whose variance is reduced by those of the step before.

    ::

        c = g + γ·β1/(1−β1)·(g − g')      c ← c/max(1, ‖c‖)      g' ← g
        m ← β1·m + (1−β1)·c              v ← β2·v + (1−β2)·c²
        p ← p − lr·(√(1−β2ᵗ)/(1−β1ᵗ))·m / (√v + ε)

    g' is zero at first.

    Notes
    -----
    State: 12 bytes per float32 parameter (``exp_avg``, ``exp_avg_sq``, ``last_grad``). Gradients
    come from two batches, as in the paper's MARS-approx. The paper gives vectors and scalars to
    AdamW: a second optimizer.

    Yuan et al., "MARS: Unleashing the Power of Variance Reduction for Training Large Models", 2024,
    arXiv:2411.10438.

    Examples
    --------
    >>> import numpy as np, gradstep as gs
    >>> w = np.zeros(3)
    >>> opt = gs.MARS(w, lr=0.01)
    >>> info = opt.step(np.array([10.0, 20.0, -30.0]))
    >>> w.round(4)
    array([-0.01, -0.01,  0.01])
    """

    lr = Number(3e-3, "Step size.")
    betas = decays((0.95, 0.99), "Decay of the averages of the gradient and of its square.")
    gamma = Number(0.025, "γ: how much of the change of gradients is taken off.")
    eps = Number(1e-8, "Added to the root, before bias correction.")
    weight_decay = DECOUPLED_DECAY
    cautious = CAUTIOUS
    decoupled_weight_decay = DECOUPLED

    exp_avg = Slot()
    exp_avg_sq = Slot(values="squares")
    last_grad = Slot()

    def rule(self, h: Mapping[str, Any]) -> str:
        return "mars"

    def coefficients(self, rule: str, h: Mapping[str, Any]) -> dict[str, float]:
        beta1, beta2 = h["betas"]
        correction = h["gamma"] * beta1 / (1.0 - beta1)
        return {**averages(beta1, beta2), "eps": h["eps"], "correction": correction}

    def step_coefficients(self, rule: str, h: Mapping[str, Any], t: int) -> dict[str, float]:
        corrections = bias_corrections(h, t)
        return {"step_size": corrections["step_size"] / corrections["root_scale"]}
