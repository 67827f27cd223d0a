"""PyTorch's tensors as arrays on the same memory, and back."""

from __future__ import annotations

import ctypes
import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gradstep.arrays.parameters import BFLOAT16_BITS
from gradstep.method.method import Method

Array = NDArray[Any]

DTYPES: dict[Any, np.dtype[Any]] = {
    torch.float32: np.dtype(np.float32),
    torch.float64: np.dtype(np.float64),
    torch.float16: np.dtype(np.float16),
    torch.bfloat16: BFLOAT16_BITS,
    torch.uint8: np.dtype(np.uint8),
    torch.int16: np.dtype(np.uint16),
}
TYPES = torch.Tensor, torch.nn.Parameter
FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)


def check_tensor(what: str, tensor: Any) -> None:
    """Raise an error where a tensor cannot be updated in place: what came and what to do."""
    wanted = "expected a dense tensor of float32, float64, bfloat16 or float16 on the CPU"
    kind: type[Exception] = TypeError
    problem, advice = None, ""
    if not isinstance(tensor, Tensor):
        problem, advice = f"is a {type(tensor).__name__}", "Give a tensor: torch.as_tensor(x)."
    elif tensor.layout != torch.strided:
        problem = f"has the layout {tensor.layout}"
        advice = "Make it dense, x.to_dense(), or use torch.optim.SparseAdam for it."
    elif tensor.is_quantized:
        problem, advice = "is quantised", "Train x.dequantize(), and quantise it afterwards."
    elif tensor.device.type == "meta":
        problem = "is on the meta device and has no memory"
        advice = "Give the model memory before, model.to_empty(device='cpu'), and initialise it."
    elif tensor.device.type != "cpu":
        problem = f"is on {tensor.device}"
        advice = "Move the model to the CPU, model.cpu(), or use torch.optim for it."
    elif tensor.is_complex():
        problem = f"is complex ({tensor.dtype})"
        advice = "Train a Parameter of torch.view_as_real(x), or use torch.optim for it."
    elif tensor.dtype not in FLOATS:
        problem, advice = f"has dtype {tensor.dtype}", "Convert it, x.float(), or leave it out."
    elif is_wrapper(tensor):
        problem = f"is a {type(tensor).__name__}, which computes in its own way"
        advice = "Train the tensor inside it, or use the optimizer that its package has."
    elif tensor.is_inference():
        kind, problem = ValueError, "was made in inference mode and cannot be trained"
        advice = "Make a copy outside of it: x = x.clone()."
    elif not has_memory(tensor):
        kind, problem = ValueError, "has no memory, as its storage was freed"
        advice = "Give it memory again before the step, or leave it out."
    elif tensor.is_neg():
        kind, problem = ValueError, "has the negative bit of a conjugated tensor's part"
        advice = "Write it out once, x.data = x.data.resolve_neg()."
    elif in_memory_order(tensor) is None:
        kind = ValueError
        problem = f"does not fill its memory (shape {tuple(tensor.shape)}, strides "
        problem += f"{tensor.stride()})"
        advice = "Make it contiguous once, x.data = x.data.contiguous()."
    if problem:
        raise kind(f"{what} {problem}; {wanted}. {advice}")


def check_axes(name: str, tensor: Tensor, method: Method) -> None:
    """Raise a ValueError where a state of rows and columns does not go with a parameter."""
    slots = method.slots.values()
    of_matrices = any(slot.factors or slot.kind == "matrix" for slot in slots)
    if of_matrices and tensor.ndim > 2 and not tensor.is_contiguous():
        raise ValueError(
            f"parameter {name!r} has strides {tensor.stride()}, and its state is of the rows and "
            "columns of matrices that its axes make; make it contiguous once, "
            "x.data = x.data.contiguous()"
        )


def check_gradient(name: str, gradient: Tensor) -> None:
    """Raise a TypeError where a gradient cannot be read: what came and what to do."""
    wanted = "expected a dense tensor of float32, float64, bfloat16 or float16 on the CPU"
    kind: type[Exception] = TypeError
    problem = None
    if not isinstance(gradient, Tensor):
        problem, advice = f"is a {type(gradient).__name__}", "Give a tensor: torch.as_tensor(x)."
    elif gradient.layout != torch.strided:
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
    elif not has_memory(gradient):
        kind, problem = ValueError, "has no memory, as its storage was freed"
        advice = "Compute it anew."
    if problem:
        raise kind(f"gradient {name!r} {problem}; {wanted}. {advice}")


def has_memory(tensor: Tensor) -> bool:
    if tensor.numel() == 0:
        return True
    last = sum((n - 1) * s for n, s in zip(tensor.shape, tensor.stride(), strict=True))
    end = (tensor.storage_offset() + last + 1) * tensor.element_size()
    return end <= tensor.untyped_storage().nbytes()


def is_wrapper(tensor: Tensor) -> bool:
    """Whether a subclass says itself what operations on its tensors do."""
    return type(tensor).__torch_dispatch__ not in (
        torch.Tensor.__torch_dispatch__,
        torch._C._disabled_torch_dispatch_impl,
    )


def in_memory_order(tensor: Tensor) -> tuple[int, ...] | None:
    """Its axes, the outermost in memory first; None where its elements do not follow one another.

    Row-major and column-major tensors, which arrays may be, keep the order that they have.
    """
    axes = tuple(range(tensor.ndim))
    if tensor.is_contiguous() or tensor.permute(*axes[::-1]).is_contiguous():
        return axes
    by_stride = tuple(sorted(axes, key=lambda axis: -tensor.stride(axis)))
    return by_stride if tensor.permute(by_stride).is_contiguous() else None


def array_of(tensor: Tensor) -> Array:
    """A dense tensor's memory as an array, its axes as :func:`in_memory_order` has them.

    It does not keep the memory: the tensor does, unless it is given another.
    """
    order = in_memory_order(tensor)
    assert order is not None
    dtype = DTYPES[tensor.dtype]
    shape = tuple(tensor.shape[axis] for axis in order)
    size = math.prod(shape)
    if size == 0:
        return np.empty(shape, dtype)
    memory = (ctypes.c_char * (size * dtype.itemsize)).from_address(tensor.data_ptr())
    flat = np.frombuffer(memory, dtype)
    return flat.reshape(shape, order="C" if tensor.permute(order).is_contiguous() else "F")


def tensor_on(array: Array, beside: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """A tensor on the memory of an array that goes element by element with a tensor.

    `dtype` is what the bits of the array stand for, where its own dtype does not say.
    """
    if array.dtype == np.uint16:
        array = array.view(np.int16)
    tensor = torch.from_numpy(array)
    if dtype is not None and tensor.dtype != dtype:
        tensor = tensor.view(dtype)
    order = in_memory_order(beside)
    if array.ndim != beside.ndim or order is None or order == tuple(range(beside.ndim)):
        return tensor
    inverse = sorted(range(beside.ndim), key=order.__getitem__)
    return tensor.permute(inverse)


def lies_like(tensor: Tensor, other: Tensor) -> bool:
    """Whether the elements of both follow one another in the same order in memory."""
    return tensor.shape == other.shape and (
        tensor.stride() == other.stride()
        or (tensor.numel() < 2)
        or (tensor.is_contiguous() and other.is_contiguous())
    )
