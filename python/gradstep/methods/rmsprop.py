"""RMSprop: Adagrad with a memory that fades."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gradstep.method.hyperparameters import Flag, Number, Scalar
from gradstep.method.options import SharedOptions
from gradstep.methods.adagrad import eps_in_its_place
from gradstep.optimizer.nesterov_point import NesterovPoint

if TYPE_CHECKING:
    from typing_extensions import Unpack


class RMSprop(NesterovPoint):
    r"""RMSprop: gradients divided by the root of their running mean square.

    ::

        s ← α·s + (1−α)·g²,   d = √s + ε
        p ← p − lr·g/d                                              momentum = 0
        b ← μ·b + g/d,        p ← p − lr·b                          momentum = μ
        b ← μ·b + g/d,        p ← p − lr·(μ·b + g/d)                nesterov
        c ← α·c + (1−α)·g,    d = √(s − c²) + ε                     centered

    Parameters
    ----------
    params : array, list, dict or groups
        float32 or float64 arrays of any shape, updated in place.
    lr : float or schedule, ≥ 0
        Step size.
    alpha : float or schedule, in [0, 1)
        Decay of the averages.
    eps : float or schedule, ≥ 0
        Added to the root.
    weight_decay : float or schedule, ≥ 0
        Coupled (L2) unless ``decoupled_weight_decay=True``.
    momentum : float or schedule, in [0, 1)
        How much of the velocity is kept; 0 keeps none.
    centered : bool
        Divide by the standard deviation.
    nesterov : bool
        Use the gradient as if it had been taken a momentum step ahead. Needs momentum. For the
        textbook form, which evaluates the gradient there, see :meth:`lookahead`.
    eps_inside_sqrt : bool
        Add eps to the sum under the root, as Optax and Goodfellow et al. do, not to the root.
    cautious : bool
        Leave out the elements of a step that do not move against their gradient, and scale the
        others up by size/(count + 1) within each tensor (Liang et al. 2024, arXiv:2411.16085).
        Needs momentum.
    **shared
        The options that every optimizer takes: see :class:`Optimizer`.

    Raises
    ------
    TypeError, ValueError
        If a parameter cannot be updated in place, or a hyperparameter is out of its range.

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

    lr = Number()
    alpha = Number(high=1.0)
    eps = Number()
    momentum = Number(high=1.0)
    centered = Flag()
    nesterov = Flag()
    eps_inside_sqrt = Flag()
    cautious = Flag()

    def __init__(
        self,
        params: Any,
        lr: Scalar = 1e-2,
        alpha: Scalar = 0.99,
        eps: Scalar = 1e-8,
        weight_decay: Scalar = 0.0,
        momentum: Scalar = 0.0,
        centered: bool = False,
        nesterov: bool = False,
        eps_inside_sqrt: bool = False,
        cautious: bool = False,
        **shared: Unpack[SharedOptions],
    ) -> None:
        own = {
            "lr": lr,
            "alpha": alpha,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "centered": centered,
            "nesterov": nesterov,
            "eps_inside_sqrt": eps_inside_sqrt,
            "cautious": cautious,
        }
        super().__init__(params, own, shared)

    def rule(self, h: Mapping[str, Any]) -> str:
        rule = "rmsprop_centered" if h["centered"] else "rmsprop"
        if h["momentum"] != 0.0:
            return f"{rule}_nesterov" if h["nesterov"] else f"{rule}_momentum"
        if h["nesterov"]:
            raise ValueError("nesterov=True needs momentum > 0; got momentum = 0.0")
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
            own["momentum"] = h["momentum"]
        return own
