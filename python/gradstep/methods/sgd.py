"""Gradient descent, momentum and Nesterov's accelerated gradient."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gradstep.method.hyperparameters import Flag, Number, Scalar
from gradstep.method.options import SharedOptions
from gradstep.optimizer.nesterov_point import NesterovPoint

if TYPE_CHECKING:
    from typing_extensions import Unpack


class SGD(NesterovPoint):
    r"""Gradient descent, with momentum if asked for.

    ::

        p ← p − lr·g                                             momentum = 0
        v ← μ·v + (1−dampening)·g,   p ← p − lr·v                momentum = μ
        v ← μ·v + g,                 p ← p − lr·(g + μ·v)        nesterov
        v ← μ·v + lr·g,              p ← p − v                   lr_in_velocity
        v ← μ·v + lr·g,              p ← p − (μ·v + lr·g)        lr_in_velocity, nesterov

    Each tensor's first step sets v = g (v = lr·g), whatever the dampening.

    Parameters
    ----------
    params : array, list, dict or groups
        float32 or float64 arrays of any shape, updated in place.
    lr : float or schedule, ≥ 0
        Step size.
    momentum : float or schedule, in [0, 1)
        How much of the velocity is kept; 0 keeps no state at all.
    dampening : float or schedule, in [0, 1)
        Share of each gradient that does not enter the velocity.
    weight_decay : float or schedule, ≥ 0
        Coupled (L2) unless ``decoupled_weight_decay=True``.
    nesterov : bool
        Use the gradient as if it had been taken a momentum step ahead. Needs momentum, and no
        dampening. For the textbook form, which evaluates the gradient there, see :meth:`lookahead`.
    lr_in_velocity : bool
        Scale gradients by lr as they enter the velocity, as Goodfellow et al. and Keras do, rather
        than the velocity as it is applied, as PyTorch does. The two differ only while lr changes.
        Needs momentum, and no dampening.
    cautious : bool
        Leave out the elements of a step that do not move against their gradient, and scale the
        others up by size/(count + 1) within each tensor (Liang et al. 2024). Needs momentum.
    **shared
        The options that every optimizer takes: see :class:`Optimizer`.

    Raises
    ------
    TypeError, ValueError
        If a parameter cannot be updated in place, or a hyperparameter is out of its range.

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

    lr = Number()
    momentum = Number(high=1.0)
    dampening = Number(high=1.0)
    nesterov = Flag()
    lr_in_velocity = Flag()
    cautious = Flag()

    def __init__(
        self,
        params: Any,
        lr: Scalar = 1e-3,
        momentum: Scalar = 0.0,
        dampening: Scalar = 0.0,
        weight_decay: Scalar = 0.0,
        nesterov: bool = False,
        lr_in_velocity: bool = False,
        cautious: bool = False,
        **shared: Unpack[SharedOptions],
    ) -> None:
        own = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "lr_in_velocity": lr_in_velocity,
            "cautious": cautious,
        }
        super().__init__(params, own, shared)

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
