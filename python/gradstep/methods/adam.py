"""Adam, AdamW and AMSGrad."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from gradstep.method.hyperparameters import Flag, Number, decays
from gradstep.method.method import Method
from gradstep.method.options import CAUTIOUS, DECOUPLED
from gradstep.method.slots import Slot


def averages(beta1: float, beta2: float) -> dict[str, float]:
    """The weights of two running averages, formed in float64."""
    return {
        "beta1": beta1,
        "one_minus_beta1": 1.0 - beta1,
        "beta2": beta2,
        "one_minus_beta2": 1.0 - beta2,
    }


def bias_corrections(h: Mapping[str, Any], t: int) -> dict[str, float]:
    """What makes up for averages that began at zero, in the step and under the root."""
    beta1, beta2 = h["betas"]
    return {
        "step_size": h["lr"] / (1.0 - beta1**t),
        "root_scale": 1.0 / math.sqrt(1.0 - beta2**t),
    }


class Adam(Method):
    r"""Adam: steps of nearly equal size in every coordinate, from two running averages.

    ::

        m ← β1·m + (1−β1)·g              v ← β2·v + (1−β2)·g²
        p ← p − lr·(m/(1−β1ᵗ)) / (√v/√(1−β2ᵗ) + ε)

    With ``amsgrad=True`` the root is taken of the largest v so far, with
    ``eps_before_correction=True`` the step is ``lr·√(1−β2ᵗ)/(1−β1ᵗ)·m/(√v + ε)``.

    Notes
    -----
    State: 8 bytes per float32 parameter (``exp_avg``, ``exp_avg_sq``), 12 with AMSGrad. A good
    first choice wherever gradients differ in scale; for image models SGD with momentum often
    generalises better, and with weight decay :class:`AdamW` is the better Adam.

    Kingma and Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, arXiv:1412.6980;
    Reddi, Kale and Kumar, "On the Convergence of Adam and Beyond", ICLR 2018, arXiv:1904.09237.

    Examples
    --------
    The first step moves every element by lr, whatever the gradient's scale:

    >>> import numpy as np, gradstep as gs
    >>> w = np.zeros(3)
    >>> opt = gs.Adam(w, lr=0.01)
    >>> info = opt.step(np.array([1e-3, 1.0, -1e3]))
    >>> w.round(5)
    array([-0.01, -0.01,  0.01])
    """

    lr = Number(1e-3, "Step size: about how far each element moves per step.")
    betas = decays((0.9, 0.999), "Decay of the averages of the gradient and of its square.")
    eps = Number(1e-8, "Added to the root, after bias correction or before it.")
    weight_decay = Number(0.0, "Coupled (L2); for decoupled decay see :class:`AdamW`.")
    amsgrad = Flag(False, "Never let the denominator shrink.")
    cautious = CAUTIOUS
    eps_before_correction = Flag(
        False,
        "Add eps to the root before its bias correction, as Keras does: the form at the end of "
        "section 2 of the paper, with its ε̂.",
    )

    exp_avg = Slot()
    exp_avg_sq = Slot(values="squares")
    max_exp_avg_sq = Slot(values="squares")

    def rule(self, h: Mapping[str, Any]) -> str:
        return "adam_amsgrad" if h["amsgrad"] else "adam"

    def coefficients(self, rule: str, h: Mapping[str, Any]) -> dict[str, float]:
        return {**averages(*h["betas"]), "eps": h["eps"]}

    def step_coefficients(self, rule: str, h: Mapping[str, Any], t: int) -> dict[str, float]:
        own = bias_corrections(h, t)
        if h["eps_before_correction"]:
            own["step_size"] /= own["root_scale"]
            own["root_scale"] = 1.0
        return own


class AdamW(Adam):
    r"""Adam with decoupled weight decay: the default for transformers.

    ::

        p ← (1 − lr·λ)·p
        m ← β1·m + (1−β1)·g              v ← β2·v + (1−β2)·g²
        p ← p − lr·(m/(1−β1ᵗ)) / (√v/√(1−β2ᵗ) + ε)

    Notes
    -----
    State: as for :class:`Adam`. The common choice wherever weight decay is wanted.

    Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019, arXiv:1711.05101.

    Examples
    --------
    >>> import numpy as np, gradstep as gs
    >>> params = {"W": np.ones((2, 3), np.float32), "b": np.zeros(3, np.float32)}
    >>> opt = gs.AdamW(params, lr=0.1, weight_decay=0.5, clip_norm=1.0)
    >>> info = opt.step({"W": np.zeros((2, 3), np.float32), "b": np.full(3, 2.0, np.float32)})
    >>> params["W"][0], round(info.grad_norm, 4)
    (array([0.95, 0.95, 0.95], dtype=float32), 3.4641)
    """

    weight_decay = Number(
        0.01, "λ: shrinks the parameters directly, instead of passing through the averages."
    )
    decoupled_weight_decay = DECOUPLED
