"""RMSprop: Adagrad with a memory that fades."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gradstep.method.hyperparameters import Flag, Number
from gradstep.method.method import WithVelocity
from gradstep.method.options import CAUTIOUS, COUPLED_DECAY, EPS_INSIDE_SQRT
from gradstep.method.slots import Slot
from gradstep.methods.adagrad import eps_in_its_place


class RMSprop(WithVelocity):
    r"""RMSprop: gradients divided by the root of their running mean square.

    ::

        s ← α·s + (1−α)·g²,   d = √s + ε
        p ← p − lr·g/d                                              momentum = 0
        b ← μ·b + g/d,        p ← p − lr·b                          momentum = μ
        b ← μ·b + g/d,        p ← p − lr·(μ·b + g/d)                nesterov
        b ← μ·b + lr·g/d,     p ← p − b                             lr_in_velocity
        c ← α·c + (1−α)·g,    d = √(s − c²) + ε                     centered

    Notes
    -----
    State: 4 bytes per float32 parameter (``square_avg``), 4 more each with momentum
    (``momentum_buffer``) and centred (``grad_avg``). For recurrent networks and reinforcement
    learning; elsewhere :class:`Adam`, which corrects its first steps, is the safer choice. Optax
    adds eps inside the root. The rounded variance of the centred form is kept at or above 0.

    Hinton, "Neural Networks for Machine Learning", lecture 6e, 2012; centred: Graves, 2013,
    arXiv:1308.0850; with momentum: Goodfellow, Bengio and Courville, "Deep Learning", 2016,
    algorithm 8.6.

    Examples
    --------
    >>> import numpy as np, gradstep as gs
    >>> w = np.array([0.0])
    >>> opt = gs.RMSprop(w, lr=0.1, alpha=0.9, eps=0.0)
    >>> for gradient in (10.0, 12.0):
    ...     info = opt.step(np.array([gradient]))
    >>> opt.state["0"]["square_avg"], w.round(3)
    (array([23.4]), array([-0.564]))
    """

    lr = Number(1e-2, "Step size.")
    alpha = Number(0.99, "Decay of the averages.", high=1.0)
    eps = Number(1e-8, "Added to the root.")
    weight_decay = COUPLED_DECAY
    momentum = Number(0.0, "How much of the velocity is kept; 0 keeps none.", high=1.0)
    centered = Flag(False, "Divide by the standard deviation.")
    nesterov = Flag(
        False,
        "Use the gradient as if it had been taken a momentum step ahead. Needs momentum. "
        "For the textbook form, which evaluates the gradient there, see :meth:`lookahead`.",
    )
    eps_inside_sqrt = EPS_INSIDE_SQRT
    cautious = CAUTIOUS
    lr_in_velocity = Flag(
        False,
        "Scale gradients by lr as they enter the velocity, as Goodfellow et al. do, rather than "
        "the velocity as it is applied, as PyTorch does. The two differ only while lr changes. "
        "Needs momentum.",
    )

    square_avg = Slot(values="squares")
    grad_avg = Slot(values="exact")
    momentum_buffer = Slot()

    def rule(self, h: Mapping[str, Any]) -> str:
        rule = "rmsprop_centered" if h["centered"] else "rmsprop"
        if h["momentum"] != 0.0:
            return f"{rule}_nesterov" if h["nesterov"] else f"{rule}_momentum"
        for option in ("nesterov", "lr_in_velocity"):
            if h[option]:
                raise ValueError(f"{option}=True needs momentum > 0; got momentum = 0.0")
        return rule

    def coefficients(self, rule: str, h: Mapping[str, Any]) -> dict[str, float]:
        alpha = h["alpha"]
        own = {
            "lr": h["lr"],
            "alpha": alpha,
            "one_minus_alpha": 1.0 - alpha,
            **eps_in_its_place(h),
        }
        if rule.endswith(("momentum", "nesterov")):
            own |= {"momentum": h["momentum"], "grad_weight": 1.0}
            if h["lr_in_velocity"]:
                own |= {"lr": 1.0, "grad_weight": h["lr"]}
        return own

    def lead(self, h: Mapping[str, Any]) -> float:
        return h["momentum"] if h["lr_in_velocity"] else super().lead(h)
