"""SignSGD, Signum and Lion: steps of the same length in every element."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gradstep.method.hyperparameters import Number, decays
from gradstep.method.method import Method
from gradstep.method.options import CAUTIOUS, COUPLED_DECAY, DECOUPLED
from gradstep.method.slots import Slot
from gradstep.methods.adam import averages


class SignSGD(Method):
    r"""Sign descent: every element moves by lr, down its gradient.

    ::

        p ← p − lr·sign(g)                                  momentum = 0
        m ← μ·m + (1−μ)·g,   p ← p − lr·sign(m)             momentum = μ

    Notes
    -----
    State: none, or 4 bytes per float32 parameter with momentum (``momentum_buffer``). For gradients
    that are compressed, very noisy or of wildly different scales; the step never gets smaller by
    itself, so lr must fall. sign(0) is 0. :class:`Signum` is this with a momentum of 0.9.

    Bernstein, Wang, Azizzadenesheli and Anandkumar, "signSGD: Compressed Optimisation for
    Non-Convex Problems", ICML 2018, arXiv:1802.04434.

    Examples
    --------
    >>> import numpy as np, gradstep as gs
    >>> w = np.zeros(3)
    >>> opt = gs.SignSGD(w, lr=0.25)
    >>> for _ in range(2):
    ...     info = opt.step(np.array([1e-9, -5.0, 0.0]))
    >>> w
    array([-0.5,  0.5,  0. ])
    """

    lr = Number(1e-3, "How far each element moves per step.")
    momentum = Number(
        0.0, "How much of the average gradient is kept; 0 keeps no state at all.", high=1.0
    )
    weight_decay = COUPLED_DECAY
    cautious = CAUTIOUS

    momentum_buffer = Slot()

    def rule(self, h: Mapping[str, Any]) -> str:
        return "signsgd" if h["momentum"] == 0.0 else "signum"

    def coefficients(self, rule: str, h: Mapping[str, Any]) -> dict[str, float]:
        if rule == "signsgd":
            return {"lr": h["lr"]}
        momentum = h["momentum"]
        return {"lr": h["lr"], "momentum": momentum, "one_minus_momentum": 1.0 - momentum}


class Signum(SignSGD):
    r"""Sign descent with momentum: every element moves by lr, down its average gradient.

    ::

        m ← μ·m + (1−μ)·g,   p ← p − lr·sign(m)

    Notes
    -----
    State: 4 bytes per float32 parameter (``momentum_buffer``). Bernstein et al., ICML 2018,
    arXiv:1802.04434, Algorithm 2.

    Examples
    --------
    >>> import numpy as np, gradstep as gs
    >>> w = np.zeros(2)
    >>> opt = gs.Signum(w, lr=0.5)
    >>> for gradient in ([1.0, 1.0], [-5.0, -20.0]):
    ...     info = opt.step(np.array(gradient))
    >>> w
    array([0., 0.])
    """

    momentum = Number(0.9, high=1.0)


class Lion(Method):
    r"""Lion: sign descent along an interpolation of gradient and average.

    ::

        u ← β1·m + (1−β1)·g
        p ← p − lr·sign(u)
        m ← β2·m + (1−β2)·g

    Notes
    -----
    State: 4 bytes per float32 parameter (``exp_avg``), half of Adam's. For large models and large
    batches; with small batches its steps are mostly noise.

    Chen et al., "Symbolic Discovery of Optimization Algorithms", NeurIPS 2023, arXiv:2302.06675.

    Examples
    --------
    >>> import numpy as np, gradstep as gs
    >>> w = np.zeros(3)
    >>> opt = gs.Lion(w, lr=0.25)
    >>> for _ in range(2):
    ...     info = opt.step(np.array([1e-9, -5.0, 0.0]))
    >>> w
    array([-0.5,  0.5,  0. ])
    """

    lr = Number(1e-4, "How far each element moves per step; 3 to 10 times smaller than for AdamW.")
    betas = decays((0.9, 0.99), "Weight of the average in the step, and its decay.")
    weight_decay = Number(
        0.0,
        "Decoupled unless ``decoupled_weight_decay=False``; 3 to 10 times larger than for AdamW.",
    )
    cautious = CAUTIOUS
    decoupled_weight_decay = DECOUPLED

    exp_avg = Slot()

    def rule(self, h: Mapping[str, Any]) -> str:
        return "lion"

    def coefficients(self, rule: str, h: Mapping[str, Any]) -> dict[str, float]:
        return {"lr": h["lr"], **averages(*h["betas"])}
