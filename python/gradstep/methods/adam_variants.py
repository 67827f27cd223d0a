"""NAdam and RAdam: Adam that looks ahead, and Adam that warms up by itself."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from gradstep.method.hyperparameters import Number, decays
from gradstep.method.method import Method
from gradstep.method.options import CAUTIOUS, COUPLED_DECAY
from gradstep.method.slots import Slot
from gradstep.methods.adam import averages


def momentum_at(beta1: float, decay: float, t: int) -> float:
    """μ_t, the momentum of step t."""
    momentum: float = beta1 * (1.0 - 0.5 * 0.96 ** (t * decay))
    return momentum


@lru_cache(maxsize=64)
def first_products(beta1: float, decay: float) -> tuple[float, ...]:
    """Π_0, Π_1, … up to where μ_t has reached β1, or 1 − Π_t is 1: some 2400 products at most."""
    products = [1.0]
    while products[-1] > 2.0**-54 and momentum_at(beta1, decay, len(products) - 1) != beta1:
        products.append(products[-1] * momentum_at(beta1, decay, len(products)))
    return tuple(products)


def momentum_product(beta1: float, decay: float, t: int) -> float:
    """Π_t = μ_1·…·μ_t, the same in every bit however steps come.

    Factors are multiplied one by one while they differ from β1; the others are a power of β1. Where
    Π_t is no more than 2⁻⁵⁴ it may be larger than the product, and nothing else of a step changes.
    """
    products = first_products(beta1, decay)
    last = len(products) - 1
    return products[t] if t <= last else products[last] * beta1 ** (t - last)


class NAdam(Method):
    r"""NAdam: Adam with Nesterov's look ahead.

    ::

        μ_t = β1·(1 − ½·0.96^(t·ψ))
        m ← β1·m + (1−β1)·g              v ← β2·v + (1−β2)·g²
        p ← p − lr·((1−μ_t)/(1−Π_t)·g + μ_{t+1}/(1−Π_{t+1})·m) / (√v/√(1−β2ᵗ) + ε)
        with Π_t = μ_1·…·μ_t

    Notes
    -----
    State: 8 bytes per float32 parameter (``exp_avg``, ``exp_avg_sq``). Where Adam works and a
    little more speed at the start is welcome. Π_t is computed from t with the betas in force, so a
    changed β1 acts as if it had always been so; PyTorch keeps a running product.

    Dozat, "Incorporating Nesterov Momentum into Adam", ICLR workshop 2016; schedule of μ as in
    PyTorch.

    Examples
    --------
    >>> import numpy as np, gradstep as gs
    >>> w = np.zeros(3)
    >>> opt = gs.NAdam(w, lr=0.01)
    >>> for _ in range(1):
    ...     info = opt.step(np.array([1e-3, 1.0, -1e3]))
    >>> w.round(4)
    array([-0.0106, -0.0106,  0.0106])
    """

    lr = Number(2e-3, "Step size.")
    betas = decays((0.9, 0.999), "Decay of the averages of the gradient and of its square.")
    eps = Number(1e-8, "Added to the root, after bias correction.")
    weight_decay = COUPLED_DECAY
    momentum_decay = Number(4e-3, "ψ: how fast the momentum rises to β1.")
    cautious = CAUTIOUS

    exp_avg = Slot()
    exp_avg_sq = Slot(values="squares")

    def rule(self, h: Mapping[str, Any]) -> str:
        return "nadam"

    def coefficients(self, rule: str, h: Mapping[str, Any]) -> dict[str, float]:
        return {**averages(*h["betas"]), "eps": h["eps"]}

    def step_coefficients(self, rule: str, h: Mapping[str, Any], t: int) -> dict[str, float]:
        beta1, beta2 = h["betas"]
        decay = h["momentum_decay"]
        product = momentum_product(beta1, decay, t)
        following = momentum_at(beta1, decay, t + 1)
        return {
            "grad_step": h["lr"] * (1.0 - momentum_at(beta1, decay, t)) / (1.0 - product),
            "avg_step": h["lr"] * following / (1.0 - product * following),
            "root_scale": 1.0 / math.sqrt(1.0 - beta2**t),
        }


class RAdam(Method):
    r"""RAdam: Adam that leaves out the root until its estimate can be trusted.

    ::

        ρ_∞ = 2/(1−β2) − 1,   ρ_t = ρ_∞ − 2t·β2ᵗ/(1−β2ᵗ)
        p ← p − lr·m̂·r_t·√(1−β2ᵗ)/(√v + ε)   where ρ_t > 5,   else p ← p − lr·m̂
        r_t = √((ρ_t−4)(ρ_t−2)ρ_∞ / ((ρ_∞−4)(ρ_∞−2)ρ_t)),     m̂ = m/(1−β1ᵗ)

    Notes
    -----
    State: 8 bytes per float32 parameter (``exp_avg``, ``exp_avg_sq``). In place of Adam with a
    warm-up: the first steps are plain momentum, so their size depends on the gradient's.

    Liu et al., "On the Variance of the Adaptive Learning Rate and Beyond", ICLR 2020,
    arXiv:1908.03265.

    Examples
    --------
    >>> import numpy as np, gradstep as gs
    >>> w = np.zeros(2)
    >>> opt = gs.RAdam(w, lr=0.01)
    >>> for _ in range(1):
    ...     info = opt.step(np.array([1.0, -3.0]))
    >>> w.round(4)
    array([-0.01,  0.03])
    """

    lr = Number(1e-3, "Step size.")
    betas = decays((0.9, 0.999), "Decay of the averages of the gradient and of its square.")
    eps = Number(1e-8, "Added to the root, before bias correction.")
    weight_decay = COUPLED_DECAY
    cautious = CAUTIOUS

    exp_avg = Slot()
    exp_avg_sq = Slot(values="squares")

    def rule(self, h: Mapping[str, Any]) -> str:
        return "radam"

    def coefficients(self, rule: str, h: Mapping[str, Any]) -> dict[str, float]:
        return averages(*h["betas"])

    def step_coefficients(self, rule: str, h: Mapping[str, Any], t: int) -> dict[str, float]:
        beta1, beta2 = h["betas"]
        step_size = h["lr"] / (1.0 - beta1**t)
        bias2 = 1.0 - beta2**t
        longest = 2.0 / (1.0 - beta2) - 1.0
        length = longest - 2.0 * t * beta2**t / bias2
        if length <= 5.0:
            return {"step_size": step_size, "root_cap": 0.0, "eps": 1.0}
        rectified = (length - 4.0) * (length - 2.0) * longest
        rectified /= (longest - 4.0) * (longest - 2.0) * length
        return {
            "step_size": step_size * math.sqrt(rectified) * math.sqrt(bias2),
            "root_cap": math.inf,
            "eps": h["eps"],
        }
