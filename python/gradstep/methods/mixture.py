"""Adan and AdEMAMix: Adam with a second average of gradients beside the first."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gradstep.method.hyperparameters import Flag, Number, Numbers, Scalar
from gradstep.method.options import SharedOptions
from gradstep.methods.adam import averages
from gradstep.optimizer.front import Optimizer

if TYPE_CHECKING:
    from typing_extensions import Unpack

Betas3 = tuple[Scalar, Scalar, Scalar]


def warmed_up(first: float, last: float, done: float) -> float:
    """The decay whose half-life lies the share `done` of the way from that of `first` to `last`."""
    if first == 0.0 or last == 0.0:
        return last * done
    log_first, log_last = math.log(first), math.log(last)
    return min(math.exp(log_first * log_last / ((1.0 - done) * log_last + done * log_first)), last)


class Adan(Optimizer):
    r"""Adan: Nesterov's method in Adam's form, from averages of gradients and of their differences.

    ::

        d = g − g_before (0 on the first step)
        m ← β1·m + (1−β1)·g,   w ← β2·w + (1−β2)·d,   n ← β3·n + (1−β3)·(g + β2·d)²
        p ← p − lr·(m/(1−β1ᵗ) + β2·w/(1−β2ᵗ)) / (√n/√(1−β3ᵗ) + ε)

    Parameters
    ----------
    params : array, list, dict or groups
        float32 or float64 arrays of any shape, updated in place.
    lr : float or schedule, ≥ 0
        Step size.
    betas : three floats or schedules, each in [0, 1)
        Decay of the averages of the gradient, of its differences and of the squares.
    eps : float or schedule, ≥ 0
        Added to the root, after bias correction.
    weight_decay : float or schedule, ≥ 0
        Decoupled unless ``decoupled_weight_decay=False``.
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
    State: 16 bytes per float32 parameter (``exp_avg``, ``exp_avg_diff``, ``exp_avg_sq``,
    ``previous_grad``). For vision transformers and large batches, with larger lr than Adam. As in
    the paper and its code the difference is weighted with the decay β2; Optax 0.2.8 uses 1−β2. The
    paper divides parameters by 1 + lr·λ where we multiply by 1 − lr·λ.

    Xie, Zhou, Li, Lin and Yan, "Adan: Adaptive Nesterov Momentum Algorithm for Faster Optimizing
    Deep Models", 2022, arXiv:2208.06677.

    Examples
    --------
    >>> import numpy as np, gradstep as gs
    >>> w = np.zeros(3)
    >>> opt = gs.Adan(w, lr=0.01)
    >>> for _ in range(1):
    ...     info = opt.step(np.array([1e-3, 1.0, -1e3]))
    >>> w.round(4)
    array([-0.01, -0.01,  0.01])
    """

    lr = Number()
    betas = Numbers((Number(high=1.0), Number(high=1.0), Number(high=1.0)))
    eps = Number()
    cautious = Flag()

    def __init__(
        self,
        params: Any,
        lr: Scalar = 1e-3,
        betas: Betas3 = (0.98, 0.92, 0.99),
        eps: Scalar = 1e-8,
        weight_decay: Scalar = 0.0,
        cautious: bool = False,
        **shared: Unpack[SharedOptions],
    ) -> None:
        shared.setdefault("decoupled_weight_decay", True)
        own = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "cautious": cautious,
        }
        super().__init__(params, own, shared)

    def rule(self, h: Mapping[str, Any]) -> str:
        return "adan"

    def coefficients(self, rule: str, h: Mapping[str, Any]) -> dict[str, float]:
        beta1, beta2, beta3 = h["betas"]
        return {
            **averages(beta1, beta2),
            "beta3": beta3,
            "one_minus_beta3": 1.0 - beta3,
            "eps": h["eps"],
        }

    def step_coefficients(self, rule: str, h: Mapping[str, Any], t: int) -> dict[str, float]:
        beta1, beta2, beta3 = h["betas"]
        return {
            "diff_weight": 0.0 if t == 1 else 1.0,
            "avg_step": h["lr"] / (1.0 - beta1**t),
            "diff_step": h["lr"] * beta2 / (1.0 - beta2**t),
            "root_scale": 1.0 / math.sqrt(1.0 - beta3**t),
        }


class AdEMAMix(Optimizer):
    r"""AdEMAMix: AdamW with a second, very slow average of gradients.

    ::

        m ← β1·m + (1−β1)·g,   s ← β3_t·s + (1−β3_t)·g,   v ← β2·v + (1−β2)·g²
        p ← p − lr·(m/(1−β1ᵗ) + α_t·s) / (√v/√(1−β2ᵗ) + ε)

    Parameters
    ----------
    params : array, list, dict or groups
        float32 or float64 arrays of any shape, updated in place.
    lr : float or schedule, ≥ 0
        Step size.
    betas : three floats or schedules, each in [0, 1)
        Decay of the fast average, of the squares, and of the slow average.
    alpha : float or schedule, ≥ 0
        Weight of the slow average.
    warmup_steps : float, schedule or None, > 0
        Over this many steps α rises in a straight line from 0, and β3 from β1 so that the slow
        average's half-life does; None begins with both in full.
    eps : float or schedule, ≥ 0
        Added to the root, after bias correction.
    weight_decay : float or schedule, ≥ 0
        Decoupled unless ``decoupled_weight_decay=False``.
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
    State: 12 bytes per float32 parameter (``exp_avg``, ``exp_avg_slow``, ``exp_avg_sq``). For long
    runs of language models, which go on learning from gradients of thousands of steps ago; without
    ``warmup_steps`` (the paper takes the length of the run) large α diverges early.

    Pagliardini, Ablin and Grangier, "The AdEMAMix Optimizer: Better, Faster, Older", 2024,
    arXiv:2409.03137.

    Examples
    --------
    >>> import numpy as np, gradstep as gs
    >>> w = np.zeros(3)
    >>> opt = gs.AdEMAMix(w, lr=0.01)
    >>> for _ in range(1):
    ...     info = opt.step(np.array([1e-3, 1.0, -1e3]))
    >>> w.round(4)
    array([-0.01, -0.01,  0.01])
    """

    lr = Number()
    betas = Numbers((Number(high=1.0), Number(high=1.0), Number(high=1.0)))
    alpha = Number()
    warmup_steps = Number(above_low=True, optional=True)
    eps = Number()
    cautious = Flag()

    def __init__(
        self,
        params: Any,
        lr: Scalar = 1e-3,
        betas: Betas3 = (0.9, 0.999, 0.9999),
        alpha: Scalar = 5.0,
        warmup_steps: Scalar | None = None,
        eps: Scalar = 1e-8,
        weight_decay: Scalar = 0.0,
        cautious: bool = False,
        **shared: Unpack[SharedOptions],
    ) -> None:
        shared.setdefault("decoupled_weight_decay", True)
        own = {
            "lr": lr,
            "betas": betas,
            "alpha": alpha,
            "warmup_steps": warmup_steps,
            "eps": eps,
            "weight_decay": weight_decay,
            "cautious": cautious,
        }
        super().__init__(params, own, shared)

    def rule(self, h: Mapping[str, Any]) -> str:
        return "ademamix"

    def coefficients(self, rule: str, h: Mapping[str, Any]) -> dict[str, float]:
        beta1, beta2, _ = h["betas"]
        return {**averages(beta1, beta2), "eps": h["eps"]}

    def step_coefficients(self, rule: str, h: Mapping[str, Any], t: int) -> dict[str, float]:
        beta1, beta2, beta3 = h["betas"]
        alpha, warmup_steps = h["alpha"], h["warmup_steps"]
        if warmup_steps is not None and t < warmup_steps:
            alpha *= t / warmup_steps
            beta3 = warmed_up(beta1, beta3, t / warmup_steps)
        return {
            "beta3": beta3,
            "one_minus_beta3": 1.0 - beta3,
            "avg_step": h["lr"] / (1.0 - beta1**t),
            "slow_step": h["lr"] * alpha,
            "root_scale": 1.0 / math.sqrt(1.0 - beta2**t),
        }
