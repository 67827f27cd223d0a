"""State as PyTorch's optimizers keep it, tensors by parameter and name, taken over as arrays."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gradstep.arrays.memory import byte_range
from gradstep.method.method import Method
from gradstep.method.slots import Slot
from gradstep.optimizer.storage import BESIDE_PARAM, format_of_array, scale_of
from gradstep.torch.sharding import local_of
from gradstep.torch.tensors import array_of, has_memory, lies_like
from gradstep.torch.watch import look_at
from gradstep.values import shown

Array = NDArray[Any]
UNCOUNTED = {"SGD", "Muon"}  # whose state has no number of steps in torch.optim
NARROW = (torch.bfloat16, torch.float16, torch.uint8)


class Found(NamedTuple):
    """What there is for one parameter, by name."""

    arrays: dict[str, Array]
    formats: dict[str, str | None]
    average: Array | None
    tensors: dict[str, tuple[Array, Tensor]]  # each array with the tensor that it lies on
    looks: list[tuple[Tensor, Any]]  # at these tensors, before arrays were made


def adopted(name: str, param: Tensor, entry: Mapping[str, Any], method: Method) -> Found:
    """The state that users see of a parameter, in place where a step can write it as it is.

    Raises
    ------
    TypeError, ValueError
        If something there is no tensor, or has not the parameter's shape.
    """
    found = Found({}, {}, None, {}, [])
    for key, value in entry.items():
        slot = method.slots.get(key)
        kind = None if slot is None else slot.kind
        of_all = slot is not None and kind not in ("element", "workspace")
        of_elements = kind == "element" or key == "ema" or key in BESIDE_PARAM.values()
        of_blocks = key.removesuffix("_scale") in method.slots and key.endswith("_scale")
        if value is None or not (of_elements or of_blocks or of_all):
            continue
        what = f"state[{key!r}] of parameter {name!r}"
        value = local_of(value)
        if not is_plain(value):
            raise TypeError(
                f"{what} must be a dense tensor of real numbers on the CPU, got {shown(value)}; "
                "load another state, or let it begin anew: del opt.state[p]"
            )
        if key == "trailing_bits" and value.dtype == torch.uint8:
            value = value.contiguous().view(torch.int16).squeeze(-1)
        expected = slot.shape(tuple(param.shape)) if slot is not None else tuple(param.shape)
        if kind == "matrix" and value.numel() == 0:
            expected = (0, 0)  # of a side that was too long
        if (of_elements or of_all) and value.shape != expected:
            raise ValueError(
                f"{what} has shape {tuple(value.shape)}; expected {expected}, as its "
                "parameter has. Load a state of this model, or delete it: del opt.state[p]"
            )
        if of_elements:
            tensor = fitting(value, param, key)
        else:
            tensor = as_whole(value.detach(), slot, param)
        found.looks.append((tensor, look_at(tensor)))
        array = array_of(tensor)
        if array.dtype.kind == "V":
            array = array.view(np.uint16)
        found.tensors[key] = array, tensor
        if key == "ema":
            found = found._replace(average=array)
            found.formats["ema"] = {"uint16": "bfloat16", "float16": "float16"}.get(
                array.dtype.name
            )
            continue
        found.arrays[key] = array
        if key in method.slots:
            found.formats[key] = format_of_array(array, method.slots[key])
        elif key == "compensation":
            found.formats[key] = str(param.dtype).removeprefix("torch.")
    without_scale = [
        key for key, array in found.arrays.items()
        if array.dtype == np.uint8 and scale_of(key) not in found.arrays
    ]  # fmt: skip
    if without_scale:
        raise ValueError(
            f"state[{without_scale[0]!r}] of parameter {name!r} is in 8 bits and has no scales; "
            f"load the whole state, {scale_of(without_scale[0])!r} with it"
        )
    return found


def as_whole(value: Tensor, slot: Slot | None, param: Tensor) -> Tensor:
    """Of a parameter as a whole, in its dtype; scales are float32."""
    double = slot is not None and (slot.kind == "scalar" or param.dtype == torch.float64)
    return value.to(torch.float64 if double else torch.float32).contiguous()


def is_plain(value: Any) -> bool:
    return (
        isinstance(value, Tensor)
        and value.layout == torch.strided
        and value.device.type == "cpu"
        and not (value.is_complex() or value.is_quantized)
        and has_memory(value)
    )


def fitting(value: Tensor, param: Tensor, key: str) -> Tensor:
    """The tensor itself where its memory can be taken as it is, or one with its values."""
    compute = torch.float64 if param.dtype == torch.float64 else torch.float32
    wanted = value.dtype
    if key in BESIDE_PARAM.values():
        wanted = torch.int16 if key == "trailing_bits" else param.dtype
    elif wanted != compute and (wanted not in NARROW or compute == torch.float64):
        wanted = compute
    in_place = value.dtype == wanted and value.device.type == "cpu" and not value.requires_grad
    if in_place and lies_like(value, param) and not value.is_neg():
        return value
    return torch.empty_like(param, dtype=wanted, requires_grad=False).copy_(value.detach())


def dtype_of_state(key: str, formats: Mapping[str, str | None], array: Array) -> Any:
    """What the bits of an array of the state stand for; None where its own dtype says that."""
    format = formats.get(key)
    return torch.bfloat16 if array.dtype == np.uint16 and format == "bfloat16" else None


def count_of(kind: str, name: str, entry: Mapping[str, Any], before: int | None) -> int:
    """How many steps a parameter has taken, as its state says.

    Raises
    ------
    TypeError, ValueError
        If that is no count.
    """
    if "step" in entry:
        step = entry["step"]
        value = step.item() if isinstance(step, Tensor) and step.numel() == 1 else step
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise TypeError(
                f"state['step'] of parameter {name!r} must be a number, got {shown(value)}"
            )
        if not math.isfinite(value) or value < 0:
            raise ValueError(f"state['step'] of parameter {name!r} must be ≥ 0, got {value}")
        return int(value)
    if kind not in UNCOUNTED:
        if entry:
            raise ValueError(
                f"the state of parameter {name!r} has {sorted(map(str, entry))} and no 'step'; "
                "load the whole of it, or let it begin anew: del opt.state[p]"
            )
        return 0
    if entry.get("momentum_buffer") is not None:
        return max(1, before or 0)
    return before or 0


def check_apart(named: Mapping[str, Array]) -> None:
    """Raise a ValueError that names two arrays which share memory, if there are any."""
    ranges = sorted((*byte_range(array), what) for what, array in named.items() if array.size)
    for (_, end, first), (begin, _, second) in pairwise(ranges):
        if begin < end:
            raise ValueError(
                f"{first} and {second} share memory, and a step would write both there. Give each "
                "its own, x.data = x.data.clone(); or, for tied weights, use one Parameter in both "
                "places: b.weight = a.weight"
            )
