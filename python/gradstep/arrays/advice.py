"""What to do about an object that is no array, or not one that can be used: words that work."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def towards_parameter(x: Any) -> str:
    """How `x` becomes a parameter."""
    if is_torch(x):
        if str(x.dtype) in ("torch.float32", "torch.float64") and x.device.type == "cpu":
            return (
                "Give x.detach().numpy(), which is the same memory: the tensor is updated with it."
            )
        return "Convert it once, x = x.detach().cpu().float().numpy(), and go on with the array."
    if hasattr(x, "toarray"):
        return "Convert it once, x = x.toarray().astype(numpy.float32), and go on with the array."
    if isinstance(x, (numbers.Number, np.generic)) and not isinstance(x, (bool, np.bool_)):
        return (
            "Leave it out; or, if it is to be trained, convert it once, "
            "x = numpy.array(x, dtype=numpy.float32), and go on with the array."
        )
    if is_array_like(x):
        return "Convert it once, x = numpy.array(x, dtype=numpy.float32), and go on with the array."
    return "Leave it out: parameters hold arrays and nothing else."


def towards_gradient(g: Any) -> str:
    """How `g` becomes a gradient."""
    if hasattr(type(g), "grads"):
        return "Pass its sums: opt.step(g.grads, grad_scale=1 / g.count)."
    if is_torch(g):
        return "Convert it: g.detach().cpu().float()."
    if hasattr(g, "toarray"):
        return "Convert it: g.toarray()."
    if is_array_like(g) or isinstance(g, (list, tuple, numbers.Real)):
        return "Convert it: numpy.asarray(g, dtype=numpy.float32)."
    return "Give None for a parameter that has no gradient."


def towards_contiguous(x: Array) -> str:
    """How an array becomes contiguous, on the same memory if that can be."""
    order = sorted(range(x.ndim), key=lambda axis: -x.strides[axis])
    if x.flags.aligned and x.transpose(order).flags.c_contiguous:
        axes = ", ".join(map(str, order))
        return (
            f"Its axes lie in another order in memory: give x.transpose({axes}), the same memory, "
            "and gradients likewise."
        )
    return "Make it so once, x = numpy.ascontiguousarray(x), and go on with the result."


def is_torch(x: Any) -> bool:
    return type(x).__module__.partition(".")[0] == "torch" and hasattr(x, "detach")


def is_array_like(x: Any) -> bool:
    return hasattr(x, "__array__") or hasattr(x, "__dlpack__") or isinstance(x, memoryview)


def is_list_of_numbers(node: Any) -> bool:
    """Whether it is a list that somebody took for an array."""
    if not isinstance(node, (list, tuple)) or not node:
        return False
    return all(
        is_list_of_numbers(part)
        or (isinstance(part, (numbers.Real, np.generic)) and not isinstance(part, bool))
        for part in node
    )
