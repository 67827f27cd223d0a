"""Distributed tensors: each process steps its part of them."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from gradstep.torch.sums import norm_of


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


def local_gradient(param: Any) -> Any:
    """The part of its gradient that goes with the part of a parameter that is here."""
    grad = param.grad
    if not is_dtensor(grad):
        return grad
    if grad.placements != param.placements:
        grad = grad.redistribute(param.device_mesh, param.placements)
    local = grad._local_tensor
    return local.wait() if hasattr(local, "wait") else local


def global_norm(params: Sequence[Any], grads: Sequence[Tensor | None]) -> float:
    """The norm of all parts of all gradients: each process calls it with its own.

    What is sharded is summed over the mesh, what is replicated is counted once.
    """
    parts: dict[Any, list[Tensor]] = {}
    for param, grad in zip(params, grads, strict=True):
        key = None
        if is_dtensor(param):
            dims = [i for i, p in enumerate(param.placements) if p.is_shard()]
            key = param.device_mesh, tuple(dims)
        parts.setdefault(key, [])
        if grad is not None:
            parts[key].append(grad)
    total = 0.0
    for key, of_key in parts.items():
        squares = torch.tensor(norm_of(of_key) ** 2, dtype=torch.float64)
        if key is not None:
            mesh, dims = key
            for dim in dims:
                torch.distributed.all_reduce(squares, group=mesh.get_group(dim))
        total += squares.item()
    return math.sqrt(total)


def shared_limit(plans: Sequence[Mapping[str, Any]]) -> float | None:
    """The ``clip_norm`` of all groups, for parameters that are spread over processes.

    Raises
    ------
    ValueError
        If groups differ in it, or limit norms of which each process has a part.
    """
    for option in ("clip_tensor_norm", "clip_adaptive"):
        if any(values[option] is not None for values in plans):
            raise ValueError(
                f"{option} cannot be had for DTensors, of which each process has a part; leave it "
                "out, or use clip_norm, whose norm is summed over all processes"
            )
    limits = {values["clip_norm"] for values in plans}
    if len(limits) > 1:
        raise ValueError(
            f"clip_norm must be the same in all groups for DTensors, got {limits}; set it for the "
            "optimizer as a whole"
        )
    limit: float | None = limits.pop()
    return limit
