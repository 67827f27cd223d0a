"""Gradients that are tensors, made readable or refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gradstep.arrays.copies import Copies
from gradstep.arrays.gradients import GradientReader
from gradstep.arrays.parameters import Look
from gradstep.torch.sharding import local_of
from gradstep.torch.tensors import FLOATS

Array = NDArray[Any]
Tensor = torch.Tensor


class TensorReader(GradientReader):
    """What engines cannot read as it is: of other strides, on other devices and the like.

    Parameters
    ----------
    orders
        The order in memory of each parameter's axes, in which its array has them.
    """

    def __init__(
        self,
        params: Mapping[str, Array],
        seen: Mapping[str, Look],
        state: Sequence[Mapping[str, Array]],
        copies: Copies,
        *,
        orders: Sequence[tuple[int, ...] | None],
    ) -> None:
        super().__init__(params, seen, state, copies)
        self._orders = orders

    def __call__(self, i: int, gradient: object) -> Array:
        if not isinstance(gradient, Tensor):
            return super().__call__(i, gradient)
        gradient = local_of(gradient)
        name, order = self._names[i], self._orders[i]
        check_gradient(name, gradient)
        shape = tuple(self._params[i].shape)
        if order is not None:
            gradient = gradient.detach().permute(order)
        if tuple(gradient.shape) != shape:
            raise ValueError(
                f"gradient {name!r} has shape {tuple(gradient.shape)}; expected {shape}, the shape "
                "of its parameter. Compute it anew: p.grad = None before the backward pass."
            )
        if gradient.dtype == torch.bfloat16:
            gradient = gradient.float()  # NumPy has no name for it
        return super().__call__(i, np.asarray(gradient.resolve_neg().detach().numpy()))


def check_gradient(name: str, gradient: Tensor) -> None:
    """Raise a TypeError where a gradient cannot be read: what came and what to do."""
    wanted = "expected a dense tensor of float32, float64, bfloat16 or float16 on the CPU"
    problem = None
    if gradient.layout != torch.strided:
        problem, advice = f"has the layout {gradient.layout}", (
            "Use torch.nn.Embedding(..., sparse=False), or torch.optim.SparseAdam for this "
            "parameter, or make it dense: p.grad = p.grad.to_dense()."
        )  # fmt: skip
    elif gradient.device.type != "cpu":
        problem = f"is on {gradient.device}"
        advice = "Move the model to the CPU, model.cpu(), or use torch.optim for it."
    elif gradient.is_quantized or gradient.dtype not in FLOATS:
        problem = f"has dtype {gradient.dtype}"
        advice = "Convert it: p.grad = p.grad.float()."
    if problem:
        raise TypeError(f"gradient {name!r} {problem}; {wanted}. {advice}")
