"""Adagrad and Adadelta: per-element step sizes from sums of squares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gradstep.method.hyperparameters import Flag, Number, Scalar
from gradstep.method.options import SharedOptions
from gradstep.optimizer.front import Optimizer

if TYPE_CHECKING:
    from typing_extensions import Unpack


def eps_in_its_place(h: Mapping[str, Any]) -> dict[str, float]:
    """ε inside or outside the root; the other place gets 0, which changes nothing there."""
    inside = h["eps_inside_sqrt"]
    return {
        "eps_inside": h["eps"] if inside else 0.0,
        "eps_outside": 0.0 if inside else h["eps"],
    }


class Adagrad(Optimizer):
    r"""Adagrad: step sizes that fall with the sum of all squared gradients of an element.

    ::

        s ← s + g²
        p ← p − lr_t·g/(√s + ε),   lr_t = lr/(1 + (t−1)·lr_decay)

    Parameters
    ----------
    params : array, list, dict or groups
        float32 or float64 arrays of any shape, updated in place.
    lr : float or schedule, ≥ 0
        Step size.
    lr_decay : float or schedule, ≥ 0
        Decay of lr on top.
    weight_decay : float or schedule, ≥ 0
        Coupled (L2) unless ``decoupled_weight_decay=True``.
    initial_accumulator_value : float, ≥ 0
        What s starts from.
    eps : float or schedule, ≥ 0
        Added to the root.
    eps_inside_sqrt : bool
        Add eps to the sum under the root, as Optax and Goodfellow et al. do, not to the root.
    **shared
        The options that every optimizer takes: see :class:`Optimizer`.

    Raises
    ------
    TypeError, ValueError
        If a parameter cannot be updated in place, or a hyperparameter is out of its range.

    Notes
    -----
    State: 4 bytes per float32 parameter (``sum``). For sparse features (text, click data), where
    rare ones deserve large steps; in long runs on networks its steps become too small.

    Duchi, Hazan and Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic
    Optimization", JMLR 12, 2011.

    Examples
    --------
    >>> import numpy as np, gradstep as gs
    >>> w = np.zeros(2)
    >>> opt = gs.Adagrad(w, lr=0.5)
    >>> for _ in range(2):
    ...     info = opt.step(np.array([1e-3, -5.0]))
    >>> w.round(4)
    array([-0.8536,  0.8536])
    """

    lr = Number()
    lr_decay = Number()
    initial_accumulator_value = Number()
    eps = Number()
    eps_inside_sqrt = Flag()

    def __init__(
        self,
        params: Any,
        lr: Scalar = 1e-2,
        lr_decay: Scalar = 0.0,
        weight_decay: Scalar = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: Scalar = 1e-10,
        eps_inside_sqrt: bool = False,
        **shared: Unpack[SharedOptions],
    ) -> None:
        own = {
            "lr": lr,
            "lr_decay": lr_decay,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "eps": eps,
            "eps_inside_sqrt": eps_inside_sqrt,
        }
        super().__init__(params, own, shared)

    def rule(self, h: Mapping[str, Any]) -> str:
        return "adagrad"

    def initial(self, slot: str, h: Mapping[str, Any]) -> float:
        return float(h["initial_accumulator_value"])

    def coefficients(self, rule: str, h: Mapping[str, Any]) -> dict[str, float]:
        return eps_in_its_place(h)

    def step_coefficients(self, rule: str, h: Mapping[str, Any], t: int) -> dict[str, float]:
        return {"lr": h["lr"] / (1.0 + (t - 1) * h["lr_decay"])}


class Adadelta(Optimizer):
    r"""Adadelta: steps in units of the parameters, from running averages of steps and gradients.

    ::

        s ← ρ·s + (1−ρ)·g²
        δ ← √(a + ε)/√(s + ε)·g
        a ← ρ·a + (1−ρ)·δ²
        p ← p − lr·δ

    Parameters
    ----------
    params : array, list, dict or groups
        float32 or float64 arrays of any shape, updated in place.
    lr : float or schedule, ≥ 0
        Factor on the step; 1 in the paper.
    rho : float or schedule, in [0, 1)
        Decay of both averages.
    eps : float or schedule, > 0
        Added under both roots; it sets the size of the first steps.
    weight_decay : float or schedule, ≥ 0
        Coupled (L2) unless ``decoupled_weight_decay=True``.
    **shared
        The options that every optimizer takes: see :class:`Optimizer`.

    Raises
    ------
    TypeError, ValueError
        If a parameter cannot be updated in place, or a hyperparameter is out of its range.

    Notes
    -----
    State: 8 bytes per float32 parameter (``square_avg``, ``acc_delta``). For trying a model without
    tuning a step size; slow to start, and mostly surpassed by Adam.

    Zeiler, "ADADELTA: An Adaptive Learning Rate Method", 2012, arXiv:1212.5701.

    Examples
    --------
    >>> import numpy as np, gradstep as gs
    >>> w = np.zeros(2)
    >>> opt = gs.Adadelta(w)
    >>> for _ in range(2):
    ...     info = opt.step(np.array([1.0, -5.0]))
    >>> w.round(4)
    array([-0.0064,  0.0064])
    """

    lr = Number()
    rho = Number(high=1.0)
    eps = Number(above_low=True)

    def __init__(
        self,
        params: Any,
        lr: Scalar = 1.0,
        rho: Scalar = 0.9,
        eps: Scalar = 1e-6,
        weight_decay: Scalar = 0.0,
        **shared: Unpack[SharedOptions],
    ) -> None:
        own = {
            "lr": lr,
            "rho": rho,
            "eps": eps,
            "weight_decay": weight_decay,
        }
        super().__init__(params, own, shared)

    def rule(self, h: Mapping[str, Any]) -> str:
        return "adadelta"

    def coefficients(self, rule: str, h: Mapping[str, Any]) -> dict[str, float]:
        rho = h["rho"]
        return {"lr": h["lr"], "rho": rho, "one_minus_rho": 1.0 - rho, "eps": h["eps"]}
