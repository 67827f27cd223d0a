"""LAMB, LARS and NovoGrad: step sizes that follow the norms of each tensor."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from gradstep.method.hyperparameters import Flag, Number, decays
from gradstep.method.method import Method
from gradstep.method.options import CAUTIOUS
from gradstep.method.slots import Slot
from gradstep.methods.adam import averages, bias_corrections

TRUST_RATIO = Flag(
    True,
    "Scale each tensor's step by the ratio of norms; False leaves it out, for a group of biases "
    "and norms' scales, say.",
)


DECAY_WITHIN_STEPS = Number(
    0.0, "λ: within the step, or, with ``decoupled_weight_decay=True``, ``p ← (1 − lr·λ)·p``."
)


class DecayWithinSteps(Method):
    """A method whose ``weight_decay`` is a part of the step, if it is not decoupled."""

    def penalties(self, h: Mapping[str, Any]) -> tuple[float, ...]:
        _, decay, l1 = super().penalties(h)
        return 0.0, decay, l1

    def decay(self, h: Mapping[str, Any]) -> float:
        """λ where it is a part of the step."""
        return 0.0 if h["decoupled_weight_decay"] else h["weight_decay"]


class LAMB(DecayWithinSteps):
    r"""LAMB: Adam's step scaled, in every tensor, to the norm of the parameter.

    ::

        m ← β1·m + (1−β1)·g              v ← β2·v + (1−β2)·g²
        u = (m/(1−β1ᵗ)) / (√v/√(1−β2ᵗ) + ε) + λ·p
        p ← p − lr·(‖p‖/‖u‖)·u

    The ratio is 1 where a norm is zero.

    Notes
    -----
    State: 8 bytes per float32 parameter (``exp_avg``, ``exp_avg_sq``). For large batches, with
    warm-up; commonly biases and the parameters of norms go into a group with ``weight_decay=0,
    trust_ratio=False`` and an lr of their own, where it is AdamW. Gradient, parameter and state are
    read once more for the norms.

    You et al., "Large Batch Optimization for Deep Learning: Training BERT in 76 minutes", ICLR
    2020, arXiv:1904.00962, without its limits on ‖p‖, as Optax.

    Examples
    --------
    >>> import numpy as np, gradstep as gs
    >>> w = np.array([3.0, 4.0])
    >>> opt = gs.LAMB(w, lr=0.1)
    >>> info = opt.step(np.array([1.0, -10.0]))
    >>> w.round(4)  # a step of 0.1·‖w‖
    array([2.6464, 4.3536])
    """

    lr = Number(1e-3, "Step size, relative to the norm of each tensor.")
    betas = decays((0.9, 0.999), "Decay of the averages of the gradient and of its square.")
    eps = Number(1e-6, "Added to the root, after bias correction.")
    weight_decay = DECAY_WITHIN_STEPS
    trust_ratio = TRUST_RATIO

    exp_avg = Slot()
    exp_avg_sq = Slot(values="squares")

    def rule(self, h: Mapping[str, Any]) -> str:
        return "lamb" if h["trust_ratio"] else "adam"

    def penalties(self, h: Mapping[str, Any]) -> tuple[float, ...]:
        # Without the ratio, λ·p within the step is decoupled decay.
        return super().penalties(h if h["trust_ratio"] else {**h, "decoupled_weight_decay": True})

    def coefficients(self, rule: str, h: Mapping[str, Any]) -> dict[str, float]:
        own = {**averages(*h["betas"]), "eps": h["eps"]}
        return own if rule == "adam" else {**own, "weight_decay": self.decay(h), "lr": h["lr"]}

    def step_coefficients(self, rule: str, h: Mapping[str, Any], t: int) -> dict[str, float]:
        if rule == "adam":
            return bias_corrections(h, t)
        beta1, beta2 = h["betas"]
        return {
            "mean_scale": 1.0 / (1.0 - beta1**t),
            "root_scale": 1.0 / math.sqrt(1.0 - beta2**t),
        }


class LARS(Method):
    r"""LARS: momentum whose steps are scaled, in every tensor, to the norm of the parameter.

    ::

        v ← μ·v + lr·η·‖p‖/(‖g‖ + ε)·g          p ← p − v

    With ``nesterov=True`` p ← p − (μ·v + lr·η·‖p‖/(‖g‖ + ε)·g). The factor is lr where a norm is
    zero. Coupled weight decay, g + λ·p, is in the norm of g, as in Optax.

    Notes
    -----
    State: 4 bytes per float32 parameter (``momentum_buffer``). For convolutional networks with
    large batches; lr·η is the relative step, 1e-4 by default. Commonly biases and the parameters
    of norms go into a group with ``weight_decay=0, trust_ratio=False`` and an lr of their own,
    where it is SGD with momentum.

    You, Gitman and Ginsburg, "Large Batch Training of Convolutional Networks", 2017,
    arXiv:1708.03888.

    Examples
    --------
    >>> import numpy as np, gradstep as gs
    >>> w = np.array([3.0, 4.0])
    >>> opt = gs.LARS(w, lr=1.0, trust_coefficient=0.1)
    >>> info = opt.step(np.array([0.0, 1e3]))
    >>> w
    array([3. , 3.5])
    """

    lr = Number(0.1, "Step size.")
    momentum = Number(0.9, "μ: how much of the last step is kept.", high=1.0)
    weight_decay = Number(0.0, "Coupled (L2): a part of g and of its norm.")
    nesterov = Flag(False, "Look ahead along the momentum.")
    trust_coefficient = Number(1e-3, "η: the step's norm, relative to the parameter's, at lr = 1.")
    eps = Number(0.0, "Added to the norm of the gradient.")
    trust_ratio = TRUST_RATIO
    cautious = CAUTIOUS

    momentum_buffer = Slot()

    def rule(self, h: Mapping[str, Any]) -> str:
        rule = "lars" if h["trust_ratio"] else "sgd_velocity"
        return rule + "_nesterov" if h["nesterov"] else rule

    def coefficients(self, rule: str, h: Mapping[str, Any]) -> dict[str, float]:
        names = ["lr", "momentum"]
        if h["trust_ratio"]:
            names += ["trust_coefficient", "eps"]
        return {name: h[name] for name in names}


class NovoGrad(DecayWithinSteps):
    r"""NovoGrad: momentum of gradients that are divided by a running norm of their tensor.

    ::

        s ← β2·s + (1−β2)·‖g‖²        s = ‖g‖² at first
        m ← β1·m + g/(√s + ε) + λ·p
        p ← p − lr·m

    With ``grad_averaging=True`` what is added to m is multiplied by 1−β1, except at first.

    Notes
    -----
    State: 4 bytes per float32 parameter (``exp_avg``) and a number per tensor (``exp_avg_sq``, in
    float64). Insensitive to lr and to the scale of gradients, and with half of Adam's memory.

    Ginsburg et al., "Stochastic Gradient Methods with Layer-wise Adaptive Moments for Training of
    Deep Networks", 2019, arXiv:1905.11286.

    Examples
    --------
    >>> import numpy as np, gradstep as gs
    >>> w = np.zeros(2)
    >>> opt = gs.NovoGrad(w, lr=0.1)
    >>> info = opt.step(np.array([300.0, -400.0]))
    >>> w.round(4), opt.state["0"]["exp_avg_sq"]
    (array([-0.06,  0.08]), array(250000.))
    """

    lr = Number(1e-2, "Step size.")
    betas = decays((0.95, 0.98), "Decay of the momentum, and of the square of the gradient's norm.")
    eps = Number(1e-8, "Added to the root.")
    weight_decay = DECAY_WITHIN_STEPS
    grad_averaging = Flag(False, "Average gradients where otherwise they are summed up.")

    exp_avg = Slot()
    exp_avg_sq = Slot(values="squares", kind="scalar", format="float64")

    def rule(self, h: Mapping[str, Any]) -> str:
        return "novograd"

    def coefficients(self, rule: str, h: Mapping[str, Any]) -> dict[str, float]:
        return {"lr": h["lr"], "eps": h["eps"], "weight_decay": self.decay(h)}

    def step_coefficients(self, rule: str, h: Mapping[str, Any], t: int) -> dict[str, float]:
        beta1, beta2 = h["betas"] if t > 1 else (0.0, 0.0)
        return {
            "beta1": beta1,
            "beta2": beta2,
            "one_minus_beta2": 1.0 - beta2,
            "take": 1.0 - beta1 if h["grad_averaging"] else 1.0,
        }
