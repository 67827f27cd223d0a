"""ADOPT and LaProp: gradients are normalised first and averaged afterwards."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gradstep.method.hyperparameters import Flag, Number, Numbers, Scalar
from gradstep.method.options import SharedOptions
from gradstep.methods.adam import Betas, averages, bias_corrections
from gradstep.optimizer.front import Optimizer
from gradstep.values import power

if TYPE_CHECKING:
    from typing_extensions import Unpack


class ADOPT(Optimizer):
    r"""ADOPT: Adam that divides by the second moment of the step before, and converges for any β2.

    ::

        n = clamp(g/max(√v, ε), ±t^c)
        m ← β1·m + (1−β1)·n
        p ← p − lr·m
        v ← β2·v + (1−β2)·g²

    Parameters
    ----------
    params : array, list, dict or groups
        float32 or float64 arrays of any shape, updated in place.
    lr : float or schedule, ≥ 0
        Step size.
    betas : (float or schedule, float or schedule), each in [0, 1)
        Decay of the averages of the gradient and of its square.
    eps : float or schedule, > 0
        Least denominator.
    weight_decay : float or schedule, ≥ 0
        Coupled (L2) unless ``decoupled_weight_decay=True``.
    clip_exponent : float, schedule or None, ≥ 0
        c: normalised gradients are limited to t^c at step t; None does not limit them.
    cautious : bool
        Leave out the elements of a step that do not move against their gradient, and scale the
        others up by size/(count + 1) within each tensor (Liang et al. 2024, arXiv:2411.16085).
    **shared
        The options that every optimizer takes: see :class:`Optimizer`.

    Raises
    ------
    TypeError, ValueError
        If a parameter cannot be updated in place, or a hyperparameter is out of its range.

    Notes
    -----
    State: 8 bytes per float32 parameter (``exp_avg``, ``exp_avg_sq``). In place of Adam where it is
    unstable; the first step only sets v = g² and moves nothing.

    Taniguchi et al., "ADOPT: Modified Adam Can Converge with Any β2 with the Optimal Rate", NeurIPS
    2024, arXiv:2411.02853.

    Examples
    --------
    >>> import numpy as np, gradstep as gs
    >>> w = np.zeros(2)
    >>> opt = gs.ADOPT(w, lr=0.01)
    >>> for _ in range(2):
    ...     info = opt.step(np.array([1e-3, -5.0]))
    >>> w.round(4)
    array([-0.001,  0.001])
    """

    lr = Number()
    betas = Numbers((Number(high=1.0), Number(high=1.0)))
    eps = Number(above_low=True)
    clip_exponent = Number(optional=True)
    cautious = Flag()

    def __init__(
        self,
        params: Any,
        lr: Scalar = 1e-3,
        betas: Betas = (0.9, 0.9999),
        eps: Scalar = 1e-6,
        weight_decay: Scalar = 0.0,
        clip_exponent: Scalar | None = 0.25,
        cautious: bool = False,
        **shared: Unpack[SharedOptions],
    ) -> None:
        own = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "clip_exponent": clip_exponent,
            "cautious": cautious,
        }
        super().__init__(params, own, shared)

    def rule(self, h: Mapping[str, Any]) -> str:
        return "adopt"

    def coefficients(self, rule: str, h: Mapping[str, Any]) -> dict[str, float]:
        return {"lr": h["lr"], "eps": h["eps"]}

    def step_coefficients(self, rule: str, h: Mapping[str, Any], t: int) -> dict[str, float]:
        # The first step takes g² for v, and leaves m and p alone.
        weights = averages(*h["betas"]) if t > 1 else averages(1.0, 0.0)
        exponent = h["clip_exponent"]
        limit = math.inf if exponent is None and t > 1 else power(float(t), exponent or 0.0)
        return {**weights, "limit": limit}


class LaProp(Optimizer):
    r"""LaProp: Adam that normalises gradients first and averages them afterwards.

    ::

        v ← β2·v + (1−β2)·g²
        m ← β1·m + (1−β1)·g/(√v/√(1−β2ᵗ) + ε)
        p ← p − lr·m/(1−β1ᵗ)

    Parameters
    ----------
    params : array, list, dict or groups
        float32 or float64 arrays of any shape, updated in place.
    lr : float or schedule, ≥ 0
        Step size.
    betas : (float or schedule, float or schedule), each in [0, 1)
        Decay of the averages of the gradient and of its square.
    eps : float or schedule, ≥ 0
        Added to the root, after bias correction.
    weight_decay : float or schedule, ≥ 0
        Decoupled unless ``decoupled_weight_decay=False``.
    amsgrad : bool
        Never let the denominator shrink.
    cautious : bool
        Leave out the elements of a step that do not move against their gradient, and scale the
        others up by size/(count + 1) within each tensor (Liang et al. 2024, arXiv:2411.16085).
    **shared
        The options that every optimizer takes: see :class:`Optimizer`.

    Raises
    ------
    TypeError, ValueError
        If a parameter cannot be updated in place, or a hyperparameter is out of its range.

    Notes
    -----
    State: 8 bytes per float32 parameter (``exp_avg``, ``exp_avg_sq``), 12 with AMSGrad
    (``max_exp_avg_sq``). Where Adam needs a small β2 or a large β1: the two do not disturb each
    other here. lr multiplies the average, where some implementations average lr·gradient.

    Ziyin, Wang and Ueda, "LaProp: Separating Momentum and Adaptivity in Adam", 2020,
    arXiv:2002.04839.

    Examples
    --------
    >>> import numpy as np, gradstep as gs
    >>> w = np.zeros(3)
    >>> opt = gs.LaProp(w, lr=0.01)
    >>> for _ in range(1):
    ...     info = opt.step(np.array([1e-3, 1.0, -1e3]))
    >>> w.round(4)
    array([-0.01, -0.01,  0.01])
    """

    lr = Number()
    betas = Numbers((Number(high=1.0), Number(high=1.0)))
    eps = Number()
    amsgrad = Flag()
    cautious = Flag()

    def __init__(
        self,
        params: Any,
        lr: Scalar = 4e-4,
        betas: Betas = (0.9, 0.999),
        eps: Scalar = 1e-15,
        weight_decay: Scalar = 0.0,
        amsgrad: bool = False,
        cautious: bool = False,
        **shared: Unpack[SharedOptions],
    ) -> None:
        shared.setdefault("decoupled_weight_decay", True)
        own = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "cautious": cautious,
        }
        super().__init__(params, own, shared)

    def rule(self, h: Mapping[str, Any]) -> str:
        return "laprop_amsgrad" if h["amsgrad"] else "laprop"

    def coefficients(self, rule: str, h: Mapping[str, Any]) -> dict[str, float]:
        return {**averages(*h["betas"]), "eps": h["eps"]}

    def step_coefficients(self, rule: str, h: Mapping[str, Any], t: int) -> dict[str, float]:
        return bias_corrections(h, t)
