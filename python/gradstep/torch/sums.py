"""Sums over gradients that are tensors, in float64 and in the order that all sums have."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from gradstep import runtime
from gradstep.loop.clipping import sum_of_squares
from gradstep.torch.tensors import TYPES, check_gradient, in_memory_order


def norm_of(grads: Sequence[Tensor]) -> float:
    """The Euclidean norm of all of them together; a TypeError where one cannot be read."""
    return math.sqrt(squares_of(grads))


def squares_of(grads: Sequence[Tensor], names: Sequence[str] | None = None) -> float:
    """The sum of their squares; a TypeError that names one that cannot be read."""
    if (native := runtime.native()) is not None:
        total = native.sum_of_squares_of_tensors(TYPES, list(grads), torch.get_num_threads())
        if total is not None:
            return float(total)
    arrays = []
    for i, grad in enumerate(grads):
        check_gradient(str(i) if names is None else names[i], grad)
        wide = grad.detach() if grad.dtype == torch.float64 else grad.detach().float()
        wide = wide.resolve_neg()
        if in_memory_order(wide) is not None:
            wide = wide.as_strided((wide.numel(),), (1,))
        arrays.append(np.ascontiguousarray(wide.numpy()))
    return sum_of_squares(arrays)
