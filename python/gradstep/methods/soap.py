"""SOAP: Adam in the eigenbases of Shampoo."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from gradstep.method.hyperparameters import Count, Number, decays
from gradstep.method.method import Method
from gradstep.method.options import DECOUPLED
from gradstep.method.rows import Plan
from gradstep.method.slots import Slot
from gradstep.methods.adam import averages


class SOAP(Method):
    r"""SOAP: Adam in bases in which the gradient's coordinates are independent, about.

    ::

        G' = Q_Lᵀ·G·Q_R                         M' ← β1·M' + (1−β1)·G'
        V ← β2·V + (1−β2)·G'²                   N = Q_L·(M'/(√V + ε))·Q_Rᵀ
        P ← (1 − lr·λ)·P − lr·√(1−β2ᵗ)/(1−β1ᵗ)·N
        L ← β·L + (1−β)·G·Gᵀ                    R ← β·R + (1−β)·Gᵀ·G

    The first step of a parameter only begins L and R, of whose eigenvectors Q_L and Q_R are made,
    and t counts those after it. Every ``precondition_frequency`` steps Q ← qr(L·Q) brings a basis
    up to date, and M' is rotated out of the bases before and into those. The products are computed
    by NumPy's BLAS and LAPACK, of PyTorch's tensors by PyTorch, everything else by the kernels of
    all optimizers. Axes after the first count as one; scalars, vectors and sides longer than
    ``max_precondition_dim`` are not rotated.

    Notes
    -----
    State: 8 bytes per float32 parameter (``exp_avg``, which is M', and ``exp_avg_sq``), and for a
    matrix of m rows and n columns m² + n² numbers twice (``left_factor``, ``left_basis``,
    ``right_factor``, ``right_basis``). Beside it workspaces of 12 bytes per parameter are held, and
    m² + n² numbers. What is not finite is an error that changes nothing, or, with
    ``skip_nonfinite``, a step that is left out.

    Vyas et al., "SOAP: Improving and Stabilizing Shampoo using Adam", 2024, arXiv:2409.11321.

    Examples
    --------
    >>> import numpy as np, gradstep as gs
    >>> w = np.zeros((2, 2))
    >>> opt = gs.SOAP(w, lr=0.1, weight_decay=0.0)
    >>> for _ in range(2):
    ...     info = opt.step(np.array([[1.0, 2.0], [2.0, 4.0]]))
    >>> w.round(3)
    array([[-0.02, -0.04],
           [-0.04, -0.08]])
    """

    lr = Number(3e-3, "Step size.")
    betas = decays((0.95, 0.95), "Decay of the averages of the gradient and of its square.")
    shampoo_beta = Number(
        -1.0, "Decay of the averages L and R; below 0 the second of betas.", low=-1.0, high=1.0
    )
    eps = Number(1e-8, "Added to the root.")
    weight_decay = Number(0.01, "λ: shrinks the parameters directly.")
    precondition_frequency = Count(10, "Steps from one basis to the next.", low=1)
    max_precondition_dim = Count(10000, "The longest side that is rotated.")
    decoupled_weight_decay = DECOUPLED

    exp_avg = Slot(bases=("left_basis", "right_basis"))
    exp_avg_sq = Slot(values="squares")
    rotated = Slot(kind="workspace")
    direction = Slot(kind="workspace")
    left_factor = Slot(kind="matrix")
    left_basis = Slot(kind="matrix")
    right_factor = Slot(kind="matrix", axis=1)
    right_basis = Slot(kind="matrix", axis=1)

    def rule(self, h: Mapping[str, Any]) -> str:
        if h["weight_decay"] != 0.0 and not h["decoupled_weight_decay"]:
            raise ValueError(
                "decoupled_weight_decay=False would add weight_decay·p to the gradient, which SOAP "
                "rotates before parameters are read; leave it at True, or set weight_decay=0"
            )
        if h["clip_adaptive"] is not None:
            raise ValueError(
                "clip_adaptive limits gradients by unit, and SOAP rotates units into one another; "
                "use clip_norm, clip_tensor_norm or clip_value"
            )
        return "soap"

    def plan(self, values: Mapping[str, Any]) -> Plan:
        return super().plan(values)._replace(longest=values["max_precondition_dim"])

    def matrices(self, rule: str) -> list[str]:
        return [name for name, slot in self.slots.items() if slot.kind == "matrix"]

    def coefficients(self, rule: str, h: Mapping[str, Any]) -> dict[str, float]:
        return {}

    def step_coefficients(self, rule: str, h: Mapping[str, Any], t: int) -> dict[str, float]:
        if t == 1:
            return {**averages(1.0, 1.0), "step_size": 0.0}
        beta1, beta2 = h["betas"]
        correction = math.sqrt(1.0 - beta2 ** (t - 1)) / (1.0 - beta1 ** (t - 1))
        return {**averages(beta1, beta2), "step_size": h["lr"] * correction}
