"""What users see of a parameter's state: tensors on the memory of its arrays."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gradstep.torch.state import UNCOUNTED, dtype_of_state
from gradstep.torch.tensors import tensor_on
from gradstep.torch.watch import look_at


def is_whole(holding: Any, key: str) -> bool:
    """Whether it is of a parameter as a whole, or of its sides, and not of its elements."""
    slots = holding.method.slots
    return key in slots and slots[key].kind != "element"


def shown_of(holding: Any, i: int, name: str, tensor: Tensor) -> dict[str, Tensor]:
    """That of parameter number `i`, which lies on this tensor."""
    shown: dict[str, Tensor] = {}
    arrays = holding.state[name]
    if name in holding.ema:
        arrays = arrays | {"ema": holding.ema[name]}
    kept, formats = holding.kept[name], holding.formats[name]
    for key, array in arrays.items():
        known = kept.get(key)
        if known is None or known[0] is not array:
            made = tensor_on(array, tensor, dtype_of_state(key, formats, array))
            kept[key] = array, made
            holding._looks.append((made, look_at(made)))
        shown[key] = kept[key][1]
    if holding.kind not in UNCOUNTED or holding.draws:
        numbers = {"step": torch.from_numpy(holding.counts)[i]}
        carried = holding.carried.shown.items()
        numbers |= {key: torch.from_numpy(values)[i] for key, values in carried}
        shown = {**numbers, **shown}
    return shown
