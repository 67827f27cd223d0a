"""Gradient descent, momentum and Nesterov's accelerated gradient."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gradstep.method.hyperparameters import Flag, Number
from gradstep.method.method import WithVelocity
from gradstep.method.options import CAUTIOUS, COUPLED_DECAY
from gradstep.method.slots import Slot


class SGD(WithVelocity):
    r"""Gradient descent, with momentum if asked for.

    ::

        p ← p − lr·g                                             momentum = 0
        v ← μ·v + (1−dampening)·g,   p ← p − lr·v                momentum = μ
        v ← μ·v + g,                 p ← p − lr·(g + μ·v)        nesterov
        v ← μ·v + lr·g,              p ← p − v                   lr_in_velocity
        v ← μ·v + lr·g,              p ← p − (μ·v + lr·g)        lr_in_velocity, nesterov

    Each tensor's first step sets v = g (v = lr·g), whatever the dampening.

    Notes
    -----
    State: 4 bytes per float32 parameter with momentum (``momentum_buffer``), else none. Cheapest of
    all, and with momentum and a tuned schedule still hard to beat on image models; for gradients of
    very different scales use an adaptive method. At a constant gradient momentum approaches the
    terminal velocity lr·g/(1−μ).

    Polyak, "Some methods of speeding up the convergence of iteration methods", 1964; Sutskever et
    al., "On the importance of initialization and momentum in deep learning", ICML 2013; Goodfellow,
    Bengio and Courville, "Deep Learning", 2016, algorithms 8.1 to 8.3.

    Examples
    --------
    >>> import numpy as np, gradstep as gs
    >>> w = np.array([1.0])
    >>> opt = gs.SGD(w, lr=0.1, momentum=0.9)
    >>> for gradient in (2.0, 1.8):
    ...     info = opt.step(np.array([gradient]))
    >>> w.round(6), opt.state["0"]["momentum_buffer"]
    (array([0.44]), array([3.6]))
    """

    lr = Number(1e-3, "Step size.")
    momentum = Number(0.0, "How much of the velocity is kept; 0 keeps no state at all.", high=1.0)
    dampening = Number(0.0, "Share of each gradient that does not enter the velocity.", high=1.0)
    weight_decay = COUPLED_DECAY
    nesterov = Flag(
        False,
        "Use the gradient as if it had been taken a momentum step ahead: the parameters hold that "
        "point, θ + α·v. Needs momentum, and no dampening. For the textbook form, which holds θ "
        "and evaluates the gradient ahead, see :meth:`lookahead`.",
    )
    lr_in_velocity = Flag(
        False,
        "Scale gradients by lr as they enter the velocity, as Goodfellow et al. and Keras "
        "do, rather than the velocity as it is applied, as PyTorch does. The two differ "
        "only while lr changes. Needs momentum, and no dampening.",
    )
    cautious = CAUTIOUS

    momentum_buffer = Slot()

    def rule(self, h: Mapping[str, Any]) -> str:
        nesterov, lr_in_velocity = h["nesterov"], h["lr_in_velocity"]
        for option in ("nesterov", "lr_in_velocity"):
            if h[option] and (h["momentum"] == 0.0 or h["dampening"] != 0.0):
                raise ValueError(
                    f"{option}=True needs momentum > 0 and dampening = 0; got momentum = "
                    f"{h['momentum']!r} and dampening = {h['dampening']!r}"
                )
        if h["momentum"] == 0.0:
            return "sgd"
        if lr_in_velocity:
            return "sgd_velocity_nesterov" if nesterov else "sgd_velocity"
        return "sgd_nesterov" if nesterov else "sgd_momentum"

    def coefficients(self, rule: str, h: Mapping[str, Any]) -> dict[str, float]:
        if rule == "sgd":
            return {"lr": h["lr"]}
        return {"lr": h["lr"], "momentum": h["momentum"]}

    def step_coefficients(self, rule: str, h: Mapping[str, Any], t: int) -> dict[str, float]:
        if rule == "sgd" or h["lr_in_velocity"]:
            return {}
        return {"grad_weight": 1.0 if t == 1 else 1.0 - h["dampening"]}

    def lead(self, h: Mapping[str, Any]) -> float:
        return h["momentum"] if h["lr_in_velocity"] else super().lead(h)
