"""Adamax: Adam with a maximum for a root."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gradstep.method.hyperparameters import Flag, Number, Numbers, Scalar
from gradstep.method.options import SharedOptions
from gradstep.methods.adam import Betas
from gradstep.optimizer.front import Optimizer

if TYPE_CHECKING:
    from typing_extensions import Unpack


class Adamax(Optimizer):
    r"""Adamax: Adam with the largest recent gradient in place of the root.

    ::

        m ← β1·m + (1−β1)·g
        u ← max(β2·u, |g| + ε)
        p ← p − lr/(1−β1ᵗ)·m/u

    Parameters
    ----------
    params : array, list, dict or groups
        float32 or float64 arrays of any shape, updated in place.
    lr : float or schedule, ≥ 0
        Step size: no element moves much further per step.
    betas : (float or schedule, float or schedule), each in [0, 1)
        Decay of the averages of the gradient and of its maximum.
    eps : float or schedule, > 0
        Added to |g|.
    weight_decay : float or schedule, ≥ 0
        Coupled (L2) unless ``decoupled_weight_decay=True``.
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
    State: 8 bytes per float32 parameter (``exp_avg``, ``exp_inf``). For embeddings and sparse
    gradients, where a mean square forgets too fast.

    Kingma and Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, arXiv:1412.6980, section
    7.1.

    Examples
    --------
    >>> import numpy as np, gradstep as gs
    >>> w = np.zeros(3)
    >>> opt = gs.Adamax(w, lr=0.01)
    >>> for _ in range(1):
    ...     info = opt.step(np.array([1e-3, 1.0, -1e3]))
    >>> w.round(4)
    array([-0.01, -0.01,  0.01])
    """

    lr = Number()
    betas = Numbers((Number(high=1.0), Number(high=1.0)))
    eps = Number(above_low=True)
    cautious = Flag()

    def __init__(
        self,
        params: Any,
        lr: Scalar = 2e-3,
        betas: Betas = (0.9, 0.999),
        eps: Scalar = 1e-8,
        weight_decay: Scalar = 0.0,
        cautious: bool = False,
        **shared: Unpack[SharedOptions],
    ) -> None:
        own = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "cautious": cautious,
        }
        super().__init__(params, own, shared)

    def rule(self, h: Mapping[str, Any]) -> str:
        return "adamax"

    def coefficients(self, rule: str, h: Mapping[str, Any]) -> dict[str, float]:
        beta1, beta2 = h["betas"]
        return {"beta1": beta1, "one_minus_beta1": 1.0 - beta1, "beta2": beta2, "eps": h["eps"]}

    def step_coefficients(self, rule: str, h: Mapping[str, Any], t: int) -> dict[str, float]:
        return {"step_size": h["lr"] / (1.0 - h["betas"][0] ** t)}
