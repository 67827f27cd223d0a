"""What to do about an object that is no array, or not one that can be used: words that work."""

from __future__ import annotations

import numbers
from collections.abc import Iterator, ValuesView
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

TOO_DEEP = "nested too deeply; does a list or dict contain itself?"


def towards_parameter(x: Any) -> str:
    """How `x` becomes a parameter."""
    if isinstance(x, (Iterator, ValuesView)):
        return "Make a list of it: list(x)."
    if is_torch(x):
        if is_sparse(x):
            return (
                "Convert it once, x = x.detach().to_dense().float().numpy(), and go on with the "
                "array."
            )
        if str(x.dtype) in ("torch.float32", "torch.float64") and x.device.type == "cpu":
            return (
                "Give x.detach().numpy(), which is the same memory: the tensor is updated with it."
            )
        return "Convert it once, x = x.detach().cpu().float().numpy(), and go on with the array."
    if hasattr(x, "named_parameters"):
        return "Give what it trains: [q.detach().numpy() for q in x.parameters()]."
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


def towards_copy(x: Any) -> str:
    """How a tensor of PyTorch's becomes a copy."""
    if x.device.type != "cpu" or is_sparse(x):
        return "Give a copy on the CPU, and take it over after the step: x.copy_(copy)."
    if str(x.dtype) == "torch.bfloat16":
        return (
            "Give x.detach().view(torch.int16).numpy().view(ml_dtypes.bfloat16), which is the same "
            "memory: the tensor is written with it."
        )
    if str(x.dtype) == "torch.float16":
        return "Give x.detach().numpy(), which is the same memory: the tensor is written with it."
    return "Convert it once, x = x.detach().half().numpy(), and go on with the array."


def towards_gradient(g: Any) -> str:
    """How `g` becomes a gradient."""
    if hasattr(type(g), "grads"):
        return "Pass its sums: opt.step(g.grads, grad_scale=1 / g.count)."
    if is_torch(g):
        return f"Convert it: g.detach().cpu(){'.to_dense()' if is_sparse(g) else ''}.float()."
    if hasattr(g, "toarray"):
        return "Convert it: g.toarray()."
    if is_array_like(g) or isinstance(g, (list, tuple, numbers.Number)):
        return "Convert it: numpy.asarray(g, dtype=numpy.float32)."
    return "Give None for a parameter that has no gradient."


def towards_floats(g: Any, dtype: np.dtype[Any], wanted: np.dtype[Any]) -> str:
    """How a gradient that NumPy sees in `dtype` becomes one of floats."""
    if not can_be_floats(dtype):
        return "Give None for a parameter that has no gradient."
    part = "g.real" if dtype.kind == "c" else "g"
    return f"Convert it: {part}{'.float()' if is_torch(g) else f'.astype(numpy.{wanted})'}."


def towards_dtype(dtype: np.dtype[Any]) -> str:
    """How an array of `dtype` becomes a parameter."""
    if dtype.kind == "O":
        return "Give what it holds: x.tolist()."
    if not can_be_floats(dtype):
        return "Leave it out: parameters hold numbers and nothing else."
    part = "x.real" if dtype.kind == "c" else "x"
    return f"Convert it once: x = {part}.astype(numpy.float32)."


def towards_contiguous(x: Array) -> str:
    """How an array becomes contiguous, on the same memory if that can be."""
    order = sorted(range(x.ndim), key=lambda axis: -x.strides[axis])
    if x.flags.aligned and x.transpose(order).flags.c_contiguous:
        axes = ", ".join(map(str, order))
        return (
            f"Its axes lie in another order in memory: give x.transpose({axes}), the same memory, "
            "and gradients likewise."
        )
    return "Make it so once, x = x.copy(), and go on with the copy."


def can_be_floats(dtype: np.dtype[Any]) -> bool:
    """Whether its values are numbers, in a package's own dtype, as of bfloat16, too."""
    return dtype.kind in "biufcO" or (dtype.kind == "V" and dtype.type is not np.void)


def is_torch(x: Any) -> bool:
    return type(x).__module__.partition(".")[0] == "torch" and hasattr(x, "detach")


def is_sparse(tensor: Any) -> bool:
    return str(tensor.layout) != "torch.strided"


def is_array_like(x: Any) -> bool:
    return hasattr(x, "__array__") or hasattr(x, "__dlpack__") or isinstance(x, memoryview)


def is_list_of_numbers(node: Any, but: tuple[type, ...] = ()) -> bool:
    """Whether it is a list that somebody took for an array; of no numbers of the types `but`."""
    if not isinstance(node, (list, tuple)) or not node:
        return False
    return all(
        is_list_of_numbers(part, but)
        or (isinstance(part, (numbers.Real, np.generic)) and not isinstance(part, (bool, *but)))
        for part in node
    )
