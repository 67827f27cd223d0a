"""Distributed tensors: each process steps its part of them."""

from __future__ import annotations

import sys
from typing import Any

import torch

Tensor = torch.Tensor


def local_of(tensor: Any) -> Any:
    """The part of a DTensor that is here; anything else as it is."""
    return tensor._local_tensor if is_dtensor(tensor) else tensor


def is_dtensor(tensor: Any) -> bool:
    # Nobody has one who has not imported it, and to import it takes a while.
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and isinstance(tensor, module.DTensor)


def whole_of(tensor: Tensor, param: Any) -> Tensor:
    """A tensor that goes with the local part of a parameter, as one that is spread like it."""
    if not is_dtensor(param) or tensor.shape != param._local_tensor.shape or tensor.ndim == 0:
        return tensor
    from torch.distributed.tensor import DTensor

    return DTensor.from_local(
        tensor,
        param.device_mesh,
        param.placements,
        run_check=False,
        shape=param.shape,
        stride=param.stride(),
    )
