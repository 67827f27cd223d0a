"""The norm of gradients times the size of their parameters."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from gradstep import runtime
from gradstep.around.slow import NO_AVERAGE, NO_LIMITS, NO_PENALTIES
from gradstep.arrays.copies import NO_COPIES
from gradstep.arrays.parameters import look
from gradstep.optimizer.storage import format_of_param, stored
from gradstep.torch.gradients import TensorReader
from gradstep.torch.tensors import TYPES, array_of, in_memory_order


def sized_norm(params: Sequence[Tensor], grads: Sequence[Tensor], eta: float) -> float:
    """The Euclidean norm of (|p| + eta)·g, in float64 and in the order that all sums have."""
    if (native := runtime.native()) is not None:
        threads = torch.get_num_threads()
        norm = native.sized_norm_of_tensors(TYPES, list(params), list(grads), eta, threads)
        if norm is not None:
            return float(norm)
    arrays = {str(i): array_of(param) for i, param in enumerate(params)}
    seen = {name: look(array) for name, array in arrays.items()}
    orders = [in_memory_order(param) for param in params]
    reader = TensorReader(arrays, seen, [{}] * len(arrays), NO_COPIES, orders=orders)
    nothing = [None] * len(arrays)
    table = runtime.table_type(
        [stored(array, format_of_param(array, "nearest")) for array in arrays.values()],
        [[]] * len(arrays), [[]] * len(arrays), nothing, nothing, [0] * len(arrays), reader,
    )  # fmt: skip
    table.assign([("sgd", False, False)], [0] * len(arrays))
    table.begin([((NO_LIMITS, NO_PENALTIES, NO_AVERAGE, {"lr": 0.0}), {})], 1.0)
    measured: float = table.measure([reader(i, grad) for i, grad in enumerate(grads)], eta)
    return measured
