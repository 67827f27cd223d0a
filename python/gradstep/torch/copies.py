"""Copies of parameters in half precision: what users give as ``copies=``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from gradstep.arrays.copies import Copies
from gradstep.optimizer import half_copies
from gradstep.torch.tensors import array_of, check_tensor, lies_like

Array = NDArray[Any]

HALVES = (torch.bfloat16, torch.float16)
MAKE = "Make it of its parameter: p.detach().bfloat16(), or p.detach().half()."


def paired(params: Sequence[Tensor], copies: Any) -> dict[Tensor, Tensor]:
    """Copies by their parameters; None stands for a parameter that has none.

    Raises
    ------
    TypeError, ValueError
        If they are not as many, or one cannot be written beside its parameter.
    """
    if isinstance(copies, Tensor):
        copies = [copies]
    if isinstance(copies, Mapping) or not hasattr(copies, "__iter__"):
        raise TypeError(
            "copies must be a list of one tensor, or None, for each parameter; got a "
            f"{type(copies).__name__}"
        )
    copies = list(copies)
    if len(copies) != len(params):
        raise ValueError(
            f"copies must be one for each of the {len(params)} parameters, or None for those "
            f"without; got {len(copies)}"
        )
    for i, (param, copy) in enumerate(zip(params, copies, strict=True)):
        if copy is not None:
            check_copy(f"the copy of parameter {i}", copy, param)
    return {p: copy for p, copy in zip(params, copies, strict=True) if copy is not None}


def check_copy(what: str, copy: Any, param: Tensor) -> None:
    """Raise an error where a copy cannot be written element by element with its parameter."""
    wanted = f"expected a bfloat16 or float16 tensor of shape {tuple(param.shape)}"
    if param.dtype != torch.float32:
        raise TypeError(
            f"{what} cannot be written: copies are of float32 parameters, and this one is "
            f"{param.dtype}. Give None for it."
        )
    if not isinstance(copy, Tensor) or copy.dtype not in HALVES:
        came = copy.dtype if isinstance(copy, Tensor) else type(copy).__name__
        raise TypeError(f"{what} is a {came}; {wanted}. {MAKE}")
    check_tensor(what, copy)
    if not lies_like(copy, param):
        raise ValueError(
            f"{what} has shape {tuple(copy.shape)} and strides {copy.stride()}; {wanted} and "
            f"strides {param.stride()}, which lies in memory as its parameter does. {MAKE}"
        )


def copies_of(
    copies: Mapping[Tensor, Tensor], params: Mapping[str, Array], names: Mapping[Tensor, str]
) -> Copies:
    """As layouts take them."""
    there = {param: copy for param, copy in copies.items() if names.get(param) in params}
    for param, copy in there.items():
        check_copy(f"the copy of {names[param]!r}", copy, param)
    return Copies({names[param]: array_of(copy) for param, copy in there.items()}, params)


def begin(copies: Mapping[Tensor, Tensor]) -> None:
    """Give copies the values of their parameters, rounded to nearest."""
    names = {param: str(i) for i, param in enumerate(copies)}
    arrays = {name: array_of(param) for param, name in names.items()}
    half_copies.write(copies_of(copies, arrays, names), arrays)
