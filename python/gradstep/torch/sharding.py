"""Distributed tensors: each process steps its part of them."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from types import FrameType
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import increment_version

from gradstep.directions.table import OF_RULE
from gradstep.optimizer.settings import Settings
from gradstep.reference import RULES
from gradstep.torch.sums import norm_of, squares_of

# What looks at whole tensors, or at blocks of them, which parts need not begin with.
OF_WHOLE_TENSORS = {
    "clip_tensor_norm": "use clip_norm, whose norm is summed over all processes",
    "clip_adaptive": "use clip_norm, whose norm is summed over all processes",
    "cautious": "leave it out",
    "state_dtype": "use 'bfloat16'",
}
NOT_WHOLE = "needs whole tensors, and each process has a part of these parameters"
OF_ALL_TENSORS = ("clip_norm", "skip_nonfinite")
NOT_ALL = (
    "needs all gradients, of which ZeroRedundancyOptimizer or FullyShardedDataParallel leaves this "
    "optimizer a part; leave it out, and limit or check them before the step: "
    "torch.nn.utils.clip_grad_norm_, or the clip_grad_norm_ of FullyShardedDataParallel"
)


def local_of(tensor: Any) -> Any:
    """The part of a DTensor that is here; anything else as it is."""
    if not is_dtensor(tensor):
        return tensor
    local = tensor._local_tensor
    return local.wait() if hasattr(local, "wait") else local  # for a collective under way


def is_dtensor(tensor: Any) -> bool:
    # Nobody has one who has not imported it, and to import it takes a while.
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and isinstance(tensor, module.DTensor)


def dims_of(param: Any) -> tuple[int, ...]:
    """The dimensions of its mesh over which a parameter is spread."""
    if not is_dtensor(param):
        return ()
    mesh, placements = param.device_mesh, param.placements
    return tuple(i for i, p in enumerate(placements) if not p.is_replicate() and mesh.size(i) > 1)


def is_of_flat_param(param: Any) -> bool:
    """Whether FullyShardedDataParallel has cut it, which leaves no word of where the rest is."""
    return getattr(param, "_fsdp_flattened", False)


def is_made_by_zero() -> bool:
    """Whether a ZeroRedundancyOptimizer is making the optimizer, for some of its parameters."""
    module = sys.modules.get("torch.distributed.optim.zero_redundancy_optimizer")
    if module is None:
        return False
    making = module.ZeroRedundancyOptimizer._init_local_optimizer.__code__
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame.f_code is not making:
        frame = frame.f_back
    return frame is not None


def whole_of(tensor: Tensor, param: Any) -> Tensor:
    """A tensor that goes with the local part of a parameter, as one that is spread like it."""
    if not is_dtensor(param) or tensor.shape != param._local_tensor.shape:
        return tensor
    # By from_local it would lie where the mesh is, and not where CPUOffloadPolicy has parameters.
    whole = torch.empty_like(param, dtype=tensor.dtype, requires_grad=False)
    whole._local_tensor = tensor
    return whole


def in_bytes(bits: Any) -> Any:
    """Of 16 bits without a number the two bytes, along one more axis: processes cannot send each
    other int16."""
    local = local_of(bits).unsqueeze(-1).view(torch.uint8)
    if not is_dtensor(bits):
        return local
    from torch.distributed.tensor import DTensor

    shape, stride = (*bits.shape, 2), (*(2 * step for step in bits.stride()), 1)
    return DTensor.from_local(
        local, bits.device_mesh, bits.placements, shape=torch.Size(shape), stride=stride
    )


def spread_like(tensor: Any, param: Any) -> Any:
    """A tensor of the size of a parameter, spread over the same processes."""
    if not (is_dtensor(tensor) and is_dtensor(param)):
        return tensor
    if tensor.placements == param.placements and tensor.device_mesh == param.device_mesh:
        return tensor
    return tensor.redistribute(param.device_mesh, param.placements)


def local_gradient(param: Any) -> Any:
    """The part of its gradient that goes with the part of a parameter that is here."""
    grad = param.grad
    return local_of(spread_like(grad, param)) if is_dtensor(grad) else grad


class Spread:
    """Parameters of which this process may have parts.

    Parameters
    ----------
    params
        All of an optimizer.
    by_zero
        Whether they are those that a ``ZeroRedundancyOptimizer`` has left to this process.
    """

    def __init__(self, params: Sequence[Any], by_zero: bool) -> None:
        self._params = params
        self.parts = [local_of(param) for param in params]
        self.distributed = [param for param in params if is_dtensor(param)]
        flat = any(map(is_of_flat_param, params))
        self.in_parts = flat or any(map(dims_of, params))
        self._alone = flat or by_zero  # it cannot ask for what the others have

    def check(self, *groups: Settings) -> None:
        """Raise a ValueError where the hyperparameters of groups need more than there is."""
        for settings in groups:
            values, whole = settings.values, RULES[settings.rule].whole
            if whole.terms is not None and (self.in_parts or (whole.of_all and self._alone)):
                raise ValueError(
                    f"the steps of {settings.rule!r} need sums over whole tensors, and each "
                    "process has a part of these parameters; use AdamW or another optimizer whose "
                    "steps go element by element"
                )
            if settings.rule in OF_RULE and self.in_parts:
                raise ValueError(
                    f"the directions of {settings.rule!r} are computed of whole matrices, and each "
                    "process has a part of these parameters; use AdamW or another optimizer whose "
                    "steps go element by element"
                )
            for option, advice in OF_WHOLE_TENSORS.items() if self.in_parts else ():
                value = values.get(option)
                if value == "8bit" or (value and option != "state_dtype"):
                    what = "state_dtype='8bit'" if value == "8bit" else option
                    raise ValueError(f"{what} {NOT_WHOLE}; {advice}")
            for option in OF_ALL_TENSORS if self._alone else ():
                if values[option]:
                    raise ValueError(f"{option} {NOT_ALL}")

    def same(self) -> bool:
        """Whether the parts are the tensors that they were."""
        parts = zip(self._params, self.parts, strict=True)
        return not self.distributed or all(local_of(param) is part for param, part in parts)

    def gradients(self) -> list[Any]:
        return [local_gradient(param) for param in self._params]

    def announce(self) -> None:
        """Tell autograd that those which have a gradient were written: their parts are others."""
        increment_version([param for param in self.distributed if param.grad is not None])

    def norm(self, names: Sequence[str], grads: Sequence[Tensor | None]) -> float:
        return global_norm(names, self._params, grads)


def global_norm(
    names: Sequence[str], params: Sequence[Any], grads: Sequence[Tensor | None]
) -> float:
    """The norm of all parts of all gradients: each process calls it with its own.

    What is spread is summed over the mesh, what is replicated is counted once.
    """
    parts: dict[Any, dict[str, Tensor]] = {}
    for name, param, grad in zip(names, params, grads, strict=True):
        dims = dims_of(param)
        own = parts.setdefault((param.device_mesh, dims) if dims else (None, ()), {})
        if grad is not None:
            own[name] = grad
    squares = {over: squares_of(list(own.values()), list(own)) for over, own in parts.items()}
    return math.sqrt(sum(summed(own, *over) for over, own in squares.items()))


def norm_over_meshes(grads: Sequence[Any]) -> float:
    """The norm of all parts of gradients that may be spread in any way."""
    if not any(map(is_dtensor, grads)):
        return norm_of(grads)
    wholes = [added_up(grad) if is_dtensor(grad) else grad for grad in grads]
    return global_norm(list(map(str, range(len(grads)))), wholes, list(map(local_of, wholes)))


def added_up(grad: Any) -> Any:
    """A DTensor of which no process has a summand only."""
    from torch.distributed.tensor import Replicate

    placements = [Replicate() if p.is_partial() else p for p in grad.placements]
    return grad.redistribute(placements=placements)


def summed(own: float, mesh: Any, dims: tuple[int, ...]) -> float:
    """The sum of what each process has, over these dimensions of a mesh."""
    if not dims:
        return own
    if mesh.get_coordinate() is None:
        raise ValueError(
            "clip_norm and skip_nonfinite need the gradients of the processes "
            f"{mesh.mesh.flatten().tolist()}, of which this one is none; give parameters to the "
            "optimizers of those processes that have parts of them"
        )
    total = torch.tensor(own, dtype=torch.float64, device=mesh.device_type)
    for dim in dims:
        torch.distributed.all_reduce(total, group=mesh.get_group(dim))
    return total.item()


def left_of_all(norm: float, groups: Sequence[Mapping[str, Any]]) -> float:
    """The factor that ``clip_norm`` leaves of all gradients; a ValueError where groups differ."""
    limit, *others = (values["clip_norm"] for values in groups)
    for other in others:
        if other != limit:
            raise ValueError(
                f"clip_norm must be the same in all groups for DTensors, got {limit} and {other}; "
                "set it for the optimizer as a whole"
            )
    return 1.0 if limit is None else min(1.0, limit / (norm + 1e-6))
