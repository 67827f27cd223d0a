"""Gradients that are tensors, made readable or refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gradstep.arrays.copies import Copies
from gradstep.arrays.gradients import GradientReader
from gradstep.arrays.parameters import Look
from gradstep.torch.sharding import local_of
from gradstep.torch.tensors import check_gradient

Array = NDArray[Any]


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

    def __call__(self, i: int, gradient: Any) -> Array:
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
        try:
            return super().__call__(i, np.asarray(gradient.resolve_neg().detach().numpy()))
        except ValueError as error:
            raise ValueError(str(error).replace("g.copy()", "p.grad = p.grad.clone()")) from None
