"""Rprop: step sizes from the signs of full-batch gradients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gradstep.method.hyperparameters import Number, Numbers, Scalar
from gradstep.method.options import SharedOptions
from gradstep.optimizer.front import Optimizer

if TYPE_CHECKING:
    from typing_extensions import Unpack


class Rprop(Optimizer):
    r"""Rprop: every element has its own step size, which grows while the gradient keeps its sign.

    ::

        Δ ← clamp(Δ·η₊, Δmin, Δmax)                where g has kept its sign
        Δ ← clamp(Δ·η₋, Δmin, Δmax),   g ← 0       where it has changed
        p ← p − Δ·sign(g)

    Parameters
    ----------
    params : array, list, dict or groups
        float32 or float64 arrays of any shape, updated in place.
    lr : float or schedule, ≥ 0
        The first step size of every element; later changes have no effect.
    etas : (float, float), the first in (0, 1), the second > 1
        Factors on a step size when the sign has changed, and when it has not.
    step_sizes : (float, float), each > 0
        The smallest and the largest step size.
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
    State: 8 bytes per float32 parameter (``prev``, ``step_size``). For full-batch training of small
    models, where it needs no tuning; with mini-batches signs change by chance and it fails (use
    :class:`RMSprop`). As in PyTorch: without weight backtracking.

    Riedmiller and Braun, "A Direct Adaptive Method for Faster Backpropagation Learning: The RPROP
    Algorithm", ICNN 1993.

    Examples
    --------
    >>> import numpy as np, gradstep as gs
    >>> w = np.zeros(2)
    >>> opt = gs.Rprop(w, lr=0.5)
    >>> for _ in range(2):
    ...     info = opt.step(np.array([1e-9, -5.0]))
    >>> w.round(6), opt.state["0"]["step_size"]
    (array([-1.1,  1.1]), array([0.6, 0.6]))
    """

    lr = Number()
    etas = Numbers((Number(high=1.0, above_low=True), Number(low=1.0, above_low=True)))
    step_sizes = Numbers((Number(above_low=True), Number(above_low=True)))

    def __init__(
        self,
        params: Any,
        lr: Scalar = 1e-2,
        etas: tuple[Scalar, Scalar] = (0.5, 1.2),
        step_sizes: tuple[Scalar, Scalar] = (1e-6, 50.0),
        weight_decay: Scalar = 0.0,
        **shared: Unpack[SharedOptions],
    ) -> None:
        own = {
            "lr": lr,
            "etas": etas,
            "step_sizes": step_sizes,
            "weight_decay": weight_decay,
        }
        super().__init__(params, own, shared)

    def rule(self, h: Mapping[str, Any]) -> str:
        return "rprop"

    def initial(self, slot: str, h: Mapping[str, Any]) -> float:
        return float(h["lr"]) if slot == "step_size" else 0.0

    def coefficients(self, rule: str, h: Mapping[str, Any]) -> dict[str, float]:
        (eta_minus, eta_plus), (step_min, step_max) = h["etas"], h["step_sizes"]
        return {
            "eta_minus": eta_minus,
            "eta_plus": eta_plus,
            "step_min": step_min,
            "step_max": step_max,
        }
