"""Adam, AdamW and AMSGrad."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gradstep.method.hyperparameters import Flag, Number, Numbers, Scalar
from gradstep.method.options import SharedOptions
from gradstep.optimizer.front import Optimizer

if TYPE_CHECKING:
    from typing_extensions import Unpack

Betas = tuple[Scalar, Scalar]


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


class Adam(Optimizer):
    r"""Adam: steps of nearly equal size in every coordinate, from two running averages.

    ::

        m ← β1·m + (1−β1)·g              v ← β2·v + (1−β2)·g²
        p ← p − lr·(m/(1−β1ᵗ)) / (√v/√(1−β2ᵗ) + ε)

    With ``amsgrad=True`` the root is taken of the largest v so far.

    Parameters
    ----------
    params : array, list, dict or groups
        float32 or float64 arrays of any shape, updated in place.
    lr : float or schedule, ≥ 0
        Step size: about how far each element moves per step.
    betas : (float or schedule, float or schedule), each in [0, 1)
        Decay of the averages of the gradient and of its square.
    eps : float or schedule, ≥ 0
        Added to the root, after bias correction.
    weight_decay : float or schedule, ≥ 0
        Coupled (L2); for decoupled decay see :class:`AdamW`.
    amsgrad : bool
        Never let the denominator shrink.
    cautious : bool
        Leave out the elements of a step that do not move against their gradient, and scale the
        others up by size/(count + 1) within each tensor (Liang et al. 2024, arXiv:2411.16085). It
        reads gradient and state once more.
    **shared
        The options that every optimizer takes: see :class:`Optimizer`.

    Raises
    ------
    TypeError, ValueError
        If a parameter cannot be updated in place, or a hyperparameter is out of its range.

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

    lr = Number()
    betas = Numbers((Number(high=1.0), Number(high=1.0)))
    eps = Number()
    amsgrad = Flag()
    cautious = Flag()

    def __init__(
        self,
        params: Any,
        lr: Scalar = 1e-3,
        betas: Betas = (0.9, 0.999),
        eps: Scalar = 1e-8,
        weight_decay: Scalar = 0.0,
        amsgrad: bool = False,
        cautious: bool = False,
        **shared: Unpack[SharedOptions],
    ) -> None:
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
        return "adam_amsgrad" if h["amsgrad"] else "adam"

    def coefficients(self, rule: str, h: Mapping[str, Any]) -> dict[str, float]:
        return {**averages(*h["betas"]), "eps": h["eps"]}

    def step_coefficients(self, rule: str, h: Mapping[str, Any], t: int) -> dict[str, float]:
        return bias_corrections(h, t)


class AdamW(Adam):
    r"""Adam with decoupled weight decay: the default for transformers.

    ::

        p ← (1 − lr·λ)·p
        m ← β1·m + (1−β1)·g              v ← β2·v + (1−β2)·g²
        p ← p − lr·(m/(1−β1ᵗ)) / (√v/√(1−β2ᵗ) + ε)

    Parameters, ranges, state and errors are those of :class:`Adam`, but ``weight_decay`` (λ, by
    default 0.01) shrinks the parameters directly instead of passing through the averages.

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

    def __init__(
        self,
        params: Any,
        lr: Scalar = 1e-3,
        betas: Betas = (0.9, 0.999),
        eps: Scalar = 1e-8,
        weight_decay: Scalar = 0.01,
        amsgrad: bool = False,
        cautious: bool = False,
        **shared: Unpack[SharedOptions],
    ) -> None:
        shared.setdefault("decoupled_weight_decay", True)
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, cautious, **shared)
