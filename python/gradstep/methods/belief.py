"""AdaBelief and Yogi: Adam with another second moment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gradstep.method.hyperparameters import Flag, Number, Numbers, Scalar
from gradstep.method.options import SharedOptions
from gradstep.methods.adam import Betas, averages, bias_corrections
from gradstep.optimizer.front import Optimizer

if TYPE_CHECKING:
    from typing_extensions import Unpack


class AdaBelief(Optimizer):
    r"""AdaBelief: large steps where the gradient is what its average led to expect.

    ::

        m ← β1·m + (1−β1)·g
        s ← β2·s + (1−β2)·(g − m)² + ε_root
        p ← p − lr·(m/(1−β1ᵗ)) / (√s/√(1−β2ᵗ) + ε)

    Parameters
    ----------
    params : array, list, dict or groups
        float32 or float64 arrays of any shape, updated in place.
    lr : float or schedule, ≥ 0
        Step size.
    betas : (float or schedule, float or schedule), each in [0, 1)
        Decay of the averages of the gradient and of its surprise.
    eps : float or schedule, ≥ 0
        Added to the root, after bias correction.
    weight_decay : float or schedule, ≥ 0
        Coupled (L2) unless ``decoupled_weight_decay=True``.
    eps_root : float or schedule, ≥ 0
        Added to s at every step.
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
    State: 8 bytes per float32 parameter (``exp_avg``, ``exp_avg_var``), 12 with AMSGrad
    (``max_exp_avg_var``). Between Adam and SGD in how it generalises; a small eps is part of the
    method.

    Zhuang et al., "AdaBelief Optimizer: Adapting Stepsizes by the Belief in Observed Gradients",
    NeurIPS 2020, arXiv:2010.07468. The two eps are Optax's.

    Examples
    --------
    >>> import numpy as np, gradstep as gs
    >>> w = np.zeros(3)
    >>> opt = gs.AdaBelief(w, lr=0.01)
    >>> for _ in range(1):
    ...     info = opt.step(np.array([1e-3, 1.0, -1e3]))
    >>> w.round(4)
    array([-0.0111, -0.0111,  0.0111])
    """

    lr = Number()
    betas = Numbers((Number(high=1.0), Number(high=1.0)))
    eps = Number()
    eps_root = Number()
    amsgrad = Flag()
    cautious = Flag()

    def __init__(
        self,
        params: Any,
        lr: Scalar = 1e-3,
        betas: Betas = (0.9, 0.999),
        eps: Scalar = 1e-16,
        weight_decay: Scalar = 0.0,
        eps_root: Scalar = 1e-16,
        amsgrad: bool = False,
        cautious: bool = False,
        **shared: Unpack[SharedOptions],
    ) -> None:
        own = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "eps_root": eps_root,
            "amsgrad": amsgrad,
            "cautious": cautious,
        }
        super().__init__(params, own, shared)

    def rule(self, h: Mapping[str, Any]) -> str:
        return "adabelief_amsgrad" if h["amsgrad"] else "adabelief"

    def coefficients(self, rule: str, h: Mapping[str, Any]) -> dict[str, float]:
        return {**averages(*h["betas"]), "eps": h["eps"], "eps_root": h["eps_root"]}

    def step_coefficients(self, rule: str, h: Mapping[str, Any], t: int) -> dict[str, float]:
        return bias_corrections(h, t)


class Yogi(Optimizer):
    r"""Yogi: Adam whose second moment grows and shrinks by addition, never suddenly.

    ::

        m ← β1·m + (1−β1)·g
        v ← v − (1−β2)·sign(v − g²)·g²
        p ← p − lr·(m/(1−β1ᵗ)) / (√v/√(1−β2ᵗ) + ε)

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
        Coupled (L2) unless ``decoupled_weight_decay=True``.
    initial_accumulator_value : float, ≥ 0
        What m and v start from, as in Optax.
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
    State: 8 bytes per float32 parameter (``exp_avg``, ``exp_avg_sq``). For sparse gradients, where
    Adam's second moment fades between two of them and the next step is too large.

    Zaheer, Reddi, Sachan, Kale and Kumar, "Adaptive Methods for Nonconvex Optimization", NeurIPS
    2018.

    Examples
    --------
    >>> import numpy as np, gradstep as gs
    >>> w = np.zeros(3)
    >>> opt = gs.Yogi(w, lr=0.01)
    >>> for _ in range(1):
    ...     info = opt.step(np.array([1e-3, 1.0, -1e3]))
    >>> w.round(4)
    array([-0.0003, -0.01  ,  0.01  ])
    """

    lr = Number()
    betas = Numbers((Number(high=1.0), Number(high=1.0)))
    eps = Number()
    initial_accumulator_value = Number()
    cautious = Flag()

    def __init__(
        self,
        params: Any,
        lr: Scalar = 1e-2,
        betas: Betas = (0.9, 0.999),
        eps: Scalar = 1e-3,
        weight_decay: Scalar = 0.0,
        initial_accumulator_value: float = 1e-6,
        cautious: bool = False,
        **shared: Unpack[SharedOptions],
    ) -> None:
        own = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "cautious": cautious,
        }
        super().__init__(params, own, shared)

    def rule(self, h: Mapping[str, Any]) -> str:
        return "yogi"

    def initial(self, slot: str, h: Mapping[str, Any]) -> float:
        return float(h["initial_accumulator_value"])

    def coefficients(self, rule: str, h: Mapping[str, Any]) -> dict[str, float]:
        beta1, beta2 = h["betas"]
        return {
            "beta1": beta1,
            "one_minus_beta1": 1.0 - beta1,
            "one_minus_beta2": 1.0 - beta2,
            "eps": h["eps"],
        }

    def step_coefficients(self, rule: str, h: Mapping[str, Any], t: int) -> dict[str, float]:
        return bias_corrections(h, t)
