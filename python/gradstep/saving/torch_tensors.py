"""Tensors of PyTorch's as arrays of a state, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.optimizer.decoding import decoded
from gradstep.optimizer.layout import Layout

Array = NDArray[Any]


def array_of(what: str, value: Any) -> Array:
    """A tensor's values; of bfloat16 the bits."""
    if isinstance(value, np.ndarray):
        return value
    try:
        tensor = value.detach().cpu()
        if str(tensor.dtype) == "torch.bfloat16":
            import torch

            bits: Array = tensor.view(torch.int16).numpy().view(np.uint16)
            return bits
        array: Array = tensor.numpy()
    except (AttributeError, RuntimeError, TypeError) as error:
        raise TypeError(
            f"{what} must be a tensor that NumPy can hold, "
            f"got a {getattr(value, 'dtype', type(value).__name__)} ({error}); "
            "convert it first: tensor.float()"
        ) from None
    return array


def tensor_of(torch: Any, layout: Layout, name: str, slot: str) -> Any:
    """A copy of a slot's array; in float32 where PyTorch has no such format."""
    if layout.formats[name][slot] == "bfloat16":
        bits = np.array(layout.state[name][slot], order="C").view(np.int16)
        return torch.from_numpy(bits).view(torch.bfloat16)
    array = layout.state[name][slot]
    if array.dtype == np.uint8:
        array = decoded(layout, name, slot)
    return torch.from_numpy(np.array(array, order="C"))
