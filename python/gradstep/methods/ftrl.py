"""FTRL-Proximal: sparse linear models, online."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gradstep.method.hyperparameters import Number, Scalar
from gradstep.method.options import SharedOptions
from gradstep.optimizer.front import Optimizer

if TYPE_CHECKING:
    from typing_extensions import Unpack


class FTRL(Optimizer):
    r"""FTRL-Proximal: Adagrad's steps with an L1 penalty that gives truly sparse models.

    ::

        σ = (√(n + g²) − √n)/lr,   z ← z + g − σ·p,   n ← n + g²
        p ← 0 where |z| ≤ λ1,   else −(z − sign(z)·λ1)/((β + √n)/lr + λ2)

    Parameters
    ----------
    params : array, list, dict or groups
        float32 or float64 arrays of any shape, updated in place.
    lr : float or schedule, > 0
        Step size α of the paper.
    beta : float or schedule, ≥ 0
        Smooths the first steps.
    l1 : float or schedule, ≥ 0
        λ1. It is part of the rule here, in place of the proximal step of other optimizers.
    l2 : float or schedule, ≥ 0
        λ2.
    weight_decay : float or schedule, ≥ 0
        Coupled (L2) unless ``decoupled_weight_decay=True``.
    initial_accumulator_value : float, ≥ 0
        What n starts from; Keras and TensorFlow use 0.1.
    **shared
        The options that every optimizer takes: see :class:`Optimizer`.

    Raises
    ------
    TypeError, ValueError
        If a parameter cannot be updated in place, or a hyperparameter is out of its range.

    Notes
    -----
    State: 8 bytes per float32 parameter (``z``, ``n``). For logistic regression on huge sparse
    data, one example at a time; not for networks. Parameters are a function of z alone: whatever
    they are at first is forgotten, and an element without any gradient yet is set to 0.

    McMahan et al., "Ad Click Prediction: a View from the Trenches", KDD 2013, Algorithm 1.

    Examples
    --------
    >>> import numpy as np, gradstep as gs
    >>> w = np.zeros(2)
    >>> opt = gs.FTRL(w, lr=0.5, l1=1.0)
    >>> for _ in range(2):
    ...     info = opt.step(np.array([0.1, -2.0]))
    >>> w.round(4)
    array([0.    , 0.4279])
    """

    lr = Number(above_low=True)
    beta = Number()
    l2 = Number()
    initial_accumulator_value = Number()

    def __init__(
        self,
        params: Any,
        lr: Scalar = 0.1,
        beta: Scalar = 1.0,
        l2: Scalar = 0.0,
        weight_decay: Scalar = 0.0,
        initial_accumulator_value: float = 0.0,
        **shared: Unpack[SharedOptions],
    ) -> None:
        own = {
            "lr": lr,
            "beta": beta,
            "l2": l2,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
        }
        super().__init__(params, own, shared)

    def rule(self, h: Mapping[str, Any]) -> str:
        return "ftrl"

    def penalties(self, h: Mapping[str, Any]) -> tuple[float, ...]:
        coupled, decay, _ = super().penalties(h)
        return coupled, decay, 0.0

    def initial(self, slot: str, h: Mapping[str, Any]) -> float:
        return float(h["initial_accumulator_value"]) if slot == "n" else 0.0

    def coefficients(self, rule: str, h: Mapping[str, Any]) -> dict[str, float]:
        return {"lr": h["lr"], "beta": h["beta"], "lambda1": h["l1"], "lambda2": h["l2"]}
