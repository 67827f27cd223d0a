"""AdaBelief and Yogi: Adam with another second moment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gradstep.method.hyperparameters import Flag, Number, decays
from gradstep.method.method import Method
from gradstep.method.options import CAUTIOUS, COUPLED_DECAY
from gradstep.method.slots import Slot
from gradstep.methods.adam import averages, bias_corrections


class AdaBelief(Method):
    r"""AdaBelief: large steps where the gradient is what its average led to expect.

    ::

        m ← β1·m + (1−β1)·g
        s ← β2·s + (1−β2)·(g − m)² + ε_root
        p ← p − lr·(m/(1−β1ᵗ)) / (√s/√(1−β2ᵗ) + ε)

    Notes
    -----
    State: 8 bytes per float32 parameter (``exp_avg``, ``exp_avg_var``), 12 with AMSGrad
    (``max_exp_avg_var``). Between Adam and SGD in how it generalises; a small eps is part of the
    method.

    Zhuang et al., "AdaBelief Optimizer: Adapting Stepsizes by the Belief in Observed Gradients",
    NeurIPS 2020, arXiv:2010.07468. The two eps are Optax's.

    Examples
    --------
    >>> import numpy as np, gradstep as gs
    >>> w = np.zeros(3)
    >>> opt = gs.AdaBelief(w, lr=0.01)
    >>> for _ in range(1):
    ...     info = opt.step(np.array([1e-3, 1.0, -1e3]))
    >>> w.round(4)
    array([-0.0111, -0.0111,  0.0111])
    """

    lr = Number(1e-3, "Step size.")
    betas = decays((0.9, 0.999), "Decay of the averages of the gradient and of its surprise.")
    eps = Number(1e-16, "Added to the root, after bias correction.")
    weight_decay = COUPLED_DECAY
    eps_root = Number(1e-16, "Added to s at every step.")
    amsgrad = Flag(False, "Never let the denominator shrink.")
    cautious = CAUTIOUS

    exp_avg = Slot()
    exp_avg_var = Slot(values="squares")
    max_exp_avg_var = Slot(values="squares")

    def rule(self, h: Mapping[str, Any]) -> str:
        return "adabelief_amsgrad" if h["amsgrad"] else "adabelief"

    def coefficients(self, rule: str, h: Mapping[str, Any]) -> dict[str, float]:
        return {**averages(*h["betas"]), "eps": h["eps"], "eps_root": h["eps_root"]}

    def step_coefficients(self, rule: str, h: Mapping[str, Any], t: int) -> dict[str, float]:
        return bias_corrections(h, t)


class Yogi(Method):
    r"""Yogi: Adam whose second moment grows and shrinks by addition, never suddenly.

    ::

        m ← β1·m + (1−β1)·g
        v ← v − (1−β2)·sign(v − g²)·g²
        p ← p − lr·(m/(1−β1ᵗ)) / (√v/√(1−β2ᵗ) + ε)

    Notes
    -----
    State: 8 bytes per float32 parameter (``exp_avg``, ``exp_avg_sq``). For sparse gradients, where
    Adam's second moment fades between two of them and the next step is too large.

    Zaheer, Reddi, Sachan, Kale and Kumar, "Adaptive Methods for Nonconvex Optimization", NeurIPS
    2018.

    Examples
    --------
    >>> import numpy as np, gradstep as gs
    >>> w = np.zeros(3)
    >>> opt = gs.Yogi(w, lr=0.01)
    >>> for _ in range(1):
    ...     info = opt.step(np.array([1e-3, 1.0, -1e3]))
    >>> w.round(4)
    array([-0.0003, -0.01  ,  0.01  ])
    """

    lr = Number(1e-2, "Step size.")
    betas = decays((0.9, 0.999), "Decay of the averages of the gradient and of its square.")
    eps = Number(1e-3, "Added to the root, after bias correction.")
    weight_decay = COUPLED_DECAY
    initial_accumulator_value = Number(1e-6, "What m and v start from, as in Optax.")
    cautious = CAUTIOUS

    exp_avg = Slot("initial_accumulator_value")
    exp_avg_sq = Slot("initial_accumulator_value", values="squares")

    def rule(self, h: Mapping[str, Any]) -> str:
        return "yogi"

    def coefficients(self, rule: str, h: Mapping[str, Any]) -> dict[str, float]:
        beta1, beta2 = h["betas"]
        return {
            "beta1": beta1,
            "one_minus_beta1": 1.0 - beta1,
            "one_minus_beta2": 1.0 - beta2,
            "eps": h["eps"],
        }

    def step_coefficients(self, rule: str, h: Mapping[str, Any], t: int) -> dict[str, float]:
        return bias_corrections(h, t)
