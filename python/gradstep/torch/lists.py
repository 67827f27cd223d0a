"""Steps and sums over lists of tensors, for those who keep parameters and state themselves."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from gradstep.methods.adam import AdamW
from gradstep.methods.sgd import SGD
from gradstep.torch.lists_step import Tensors, step
from gradstep.torch.sharding import norm_over_meshes

ADAMW, PLAIN = AdamW(), SGD()


def adamw_step(
    params: Tensors,
    grads: Sequence[Tensor | None],
    exp_avgs: Tensors,
    exp_avg_sqs: Tensors,
    steps: Tensors | int,
    copies: Sequence[Tensor | None] | None = None,
    *,
    lr: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.01,
    maximize: bool = False,
    grad_scale: float = 1.0,
    seed: int = 0,
) -> None:
    """One step of AdamW over lists of tensors, in place and in one pass; see :class:`AdamW`.

    ::

        m ← β1·m + (1 − β1)·g          v ← β2·v + (1 − β2)·g²
        p ← (1 − lr·λ)·p − lr/(1 − β1ᵗ)·m/(√v/√(1 − β2ᵗ) + ε)

    Parameters
    ----------
    params : list of tensors
        float32, float64, bfloat16 or float16, dense, on the CPU.
    grads : list of tensors or None
        Of any of these dtypes; None leaves a parameter and what belongs to it alone. Never written.
    exp_avgs, exp_avg_sqs : lists of tensors
        m and v, which lie in memory as their parameters do: float32 or float64 as the arithmetic
        is, or bfloat16 or float16, which are dithered.
    steps : list of one-element tensors, or int ≥ 0
        The completed steps of each parameter, which are counted up; or those of all, which the
        caller counts.
    copies : list of tensors or None
        bfloat16 or float16 tensors that are given the new values of float32 parameters.
    lr, betas, eps, weight_decay, maximize
        As of :class:`AdamW`.
    grad_scale : float > 0
        Factor on every gradient.
    seed : int in [0, 2**63)
        What the draws of dithered state begin from.

    Raises
    ------
    TypeError, ValueError
        If something is not legal. Nothing has been changed then.

    Notes
    -----
    Loshchilov & Hutter 2019, arXiv:1711.05101.

    Examples
    --------
    >>> import torch
    >>> from gradstep.torch import adamw_step
    >>> master, m, v = torch.ones(3), torch.zeros(3), torch.zeros(3)
    >>> model = torch.ones(3, dtype=torch.bfloat16)
    >>> grad = torch.tensor([1.0, -2.0, 0.5], dtype=torch.bfloat16)
    >>> adamw_step([master], [grad], [m], [v], 0, [model], lr=0.5, weight_decay=0.0)
    >>> master, model
    (tensor([0.5000, 1.5000, 0.5000]), tensor([0.5000, 1.5000, 0.5000], dtype=torch.bfloat16))
    """
    options = {
        "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize,
        "seed": seed,
    }  # fmt: skip
    slots = {"exp_avg": list(exp_avgs), "exp_avg_sq": list(exp_avg_sqs)}
    step(ADAMW, "AdamW", options, params, grads, slots, steps, copies, grad_scale)


def accumulate(sums: Tensors, grads: Sequence[Tensor | None]) -> None:
    """Add gradients to sums of any dtype, in place: ``sums[i] += grads[i]``.

    Parameters
    ----------
    sums : list of tensors
        float32, float64, bfloat16 or float16, dense, on the CPU.
    grads : list of tensors or None
        Of any of these dtypes. None adds nothing. Never written.

    Raises
    ------
    TypeError, ValueError
        If something is not legal. Nothing has been changed then.

    Examples
    --------
    >>> import torch
    >>> from gradstep.torch import accumulate
    >>> total = torch.zeros(2)
    >>> for _ in range(2):
    ...     accumulate([total], [torch.tensor([1.0, 0.5], dtype=torch.bfloat16)])
    >>> total
    tensor([2., 1.])
    """
    step(PLAIN, "SGD", {"lr": 1.0, "maximize": True}, sums, grads, {}, 0, None, 1.0)


def global_norm(grads: Sequence[Tensor | None]) -> float:
    """The Euclidean norm of all gradients together, in float64 and in a fixed order of addition.

    Parameters
    ----------
    grads : list of tensors or None
        float32, float64, bfloat16 or float16, on the CPU. Of DTensors all processes that have parts
        call it with theirs.

    Raises
    ------
    TypeError
        If something else is among them.

    Examples
    --------
    >>> import torch
    >>> from gradstep.torch import global_norm
    >>> global_norm([torch.tensor([3.0]), torch.tensor([4.0], dtype=torch.bfloat16)])
    5.0
    """
    return norm_over_meshes([grad for grad in grads if grad is not None])
