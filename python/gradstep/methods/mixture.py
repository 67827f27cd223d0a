"""Adan and AdEMAMix: Adam with a second average of gradients beside the first."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from gradstep.method.hyperparameters import Number, decays
from gradstep.method.method import Method
from gradstep.method.options import CAUTIOUS, DECOUPLED, DECOUPLED_DECAY
from gradstep.method.slots import Slot
from gradstep.methods.adam import averages


def warmed_up(first: float, last: float, done: float) -> float:
    """The decay whose half-life lies the share `done` of the way from that of `first` to `last`."""
    if first == 0.0 or last == 0.0:
        return last * done
    log_first, log_last = math.log(first), math.log(last)
    return min(math.exp(log_first * log_last / ((1.0 - done) * log_last + done * log_first)), last)


class Adan(Method):
    r"""Adan: Nesterov's method in Adam's form, from averages of gradients and of their differences.

    ::

        d = g − g_before (0 on the first step)
        m ← β1·m + (1−β1)·g,   w ← β2·w + (1−β2)·d,   n ← β3·n + (1−β3)·(g + β2·d)²
        p ← p − lr·(m/(1−β1ᵗ) + β2·w/(1−β2ᵗ)) / (√n/√(1−β3ᵗ) + ε)

    Notes
    -----
    State: 16 bytes per float32 parameter (``exp_avg``, ``exp_avg_diff``, ``exp_avg_sq``,
    ``previous_grad``). For vision transformers and large batches, with larger lr than Adam. As in
    the paper and its code the difference is weighted with the decay β2; Optax 0.2.8 uses 1−β2. The
    paper divides parameters by 1 + lr·λ where we multiply by 1 − lr·λ.

    Xie, Zhou, Li, Lin and Yan, "Adan: Adaptive Nesterov Momentum Algorithm for Faster Optimizing
    Deep Models", 2022, arXiv:2208.06677.

    Examples
    --------
    >>> import numpy as np, gradstep as gs
    >>> w = np.zeros(3)
    >>> opt = gs.Adan(w, lr=0.01)
    >>> for _ in range(1):
    ...     info = opt.step(np.array([1e-3, 1.0, -1e3]))
    >>> w.round(4)
    array([-0.01, -0.01,  0.01])
    """

    lr = Number(1e-3, "Step size.")
    betas = decays(
        (0.98, 0.92, 0.99),
        "Decay of the averages of the gradient, of its differences and of the squares.",
    )
    eps = Number(1e-8, "Added to the root, after bias correction.")
    weight_decay = DECOUPLED_DECAY
    cautious = CAUTIOUS
    decoupled_weight_decay = DECOUPLED

    exp_avg = Slot()
    exp_avg_diff = Slot()
    exp_avg_sq = Slot(values="squares")
    previous_grad = Slot()

    def rule(self, h: Mapping[str, Any]) -> str:
        return "adan"

    def coefficients(self, rule: str, h: Mapping[str, Any]) -> dict[str, float]:
        beta1, beta2, beta3 = h["betas"]
        return {
            **averages(beta1, beta2),
            "beta3": beta3,
            "one_minus_beta3": 1.0 - beta3,
            "eps": h["eps"],
        }

    def step_coefficients(self, rule: str, h: Mapping[str, Any], t: int) -> dict[str, float]:
        beta1, beta2, beta3 = h["betas"]
        return {
            "diff_weight": 0.0 if t == 1 else 1.0,
            "avg_step": h["lr"] / (1.0 - beta1**t),
            "diff_step": h["lr"] * beta2 / (1.0 - beta2**t),
            "root_scale": 1.0 / math.sqrt(1.0 - beta3**t),
        }


class AdEMAMix(Method):
    r"""AdEMAMix: AdamW with a second, very slow average of gradients.

    ::

        m ← β1·m + (1−β1)·g,   s ← β3_t·s + (1−β3_t)·g,   v ← β2·v + (1−β2)·g²
        p ← p − lr·(m/(1−β1ᵗ) + α_t·s) / (√v/√(1−β2ᵗ) + ε)

    Notes
    -----
    State: 12 bytes per float32 parameter (``exp_avg``, ``exp_avg_slow``, ``exp_avg_sq``). For long
    runs of language models, which go on learning from gradients of thousands of steps ago; without
    ``warmup_steps`` (the paper takes the length of the run) large α diverges early.

    Pagliardini, Ablin and Grangier, "The AdEMAMix Optimizer: Better, Faster, Older", 2024,
    arXiv:2409.03137.

    Examples
    --------
    >>> import numpy as np, gradstep as gs
    >>> w = np.zeros(3)
    >>> opt = gs.AdEMAMix(w, lr=0.01)
    >>> for _ in range(1):
    ...     info = opt.step(np.array([1e-3, 1.0, -1e3]))
    >>> w.round(4)
    array([-0.01, -0.01,  0.01])
    """

    lr = Number(1e-3, "Step size.")
    betas = decays(
        (0.9, 0.999, 0.9999), "Decay of the fast average, of the squares, and of the slow average."
    )
    alpha = Number(5.0, "Weight of the slow average.")
    warmup_steps = Number(
        None,
        "Over this many steps α rises in a straight line from 0, and β3 from β1 so that the"
        " slow average's half-life does; None begins with both in full.",
        above_low=True,
        optional=True,
    )
    eps = Number(1e-8, "Added to the root, after bias correction.")
    weight_decay = DECOUPLED_DECAY
    cautious = CAUTIOUS
    decoupled_weight_decay = DECOUPLED

    exp_avg = Slot()
    exp_avg_slow = Slot()
    exp_avg_sq = Slot(values="squares")

    def rule(self, h: Mapping[str, Any]) -> str:
        return "ademamix"

    def coefficients(self, rule: str, h: Mapping[str, Any]) -> dict[str, float]:
        beta1, beta2, _ = h["betas"]
        return {**averages(beta1, beta2), "eps": h["eps"]}

    def step_coefficients(self, rule: str, h: Mapping[str, Any], t: int) -> dict[str, float]:
        beta1, beta2, beta3 = h["betas"]
        alpha, warmup_steps = h["alpha"], h["warmup_steps"]
        if warmup_steps is not None and t < warmup_steps:
            alpha *= t / warmup_steps
            beta3 = warmed_up(beta1, beta3, t / warmup_steps)
        return {
            "beta3": beta3,
            "one_minus_beta3": 1.0 - beta3,
            "avg_step": h["lr"] / (1.0 - beta1**t),
            "slow_step": h["lr"] * alpha,
            "root_scale": 1.0 / math.sqrt(1.0 - beta2**t),
        }
