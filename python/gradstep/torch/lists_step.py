"""One step of a method over lists of tensors, with nothing kept from call to call."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gradstep import runtime
from gradstep.arrays.copies import NO_COPIES
from gradstep.arrays.parameters import look
from gradstep.arrays.stored import Stored
from gradstep.method.method import Method
from gradstep.method.rows import draws, key_of
from gradstep.optimizer.settings import settings_of
from gradstep.optimizer.storage import dithered, format_of_param, stored
from gradstep.reference import RULES
from gradstep.torch.copies import HALVES, check_copy
from gradstep.torch.gradients import TensorReader
from gradstep.torch.state import check_apart
from gradstep.torch.tensors import TYPES, array_of, check_tensor, in_memory_order, lies_like
from gradstep.torch.watch import look_at
from gradstep.values import check_grad_scale, shown

Array = NDArray[Any]
Tensors = Sequence[Tensor]


def step(
    method: Method,
    kind: str,
    options: dict[str, Any],
    params: Tensors,
    grads: Sequence[Tensor | None],
    slots: dict[str, list[Tensor]],
    steps: Tensors | int,
    copies: Sequence[Tensor | None] | None,
    grad_scale: float,
) -> None:
    """Check what can be checked without the tensors, and take the step of those with a gradient."""
    values = method.values(kind, (), options)
    settings = settings_of(method, values)
    grad_scale = check_grad_scale(grad_scale)
    params, given = list(params), list(grads)
    copies = [None] * len(params) if copies is None else list(copies)
    lists = {"grads": given, "copies": copies, **{f"{name}s": s for name, s in slots.items()}}
    if isinstance(steps, Tensor):
        raise TypeError(
            "steps must be a list of one-element tensors, one for each parameter, or an int, the "
            "completed steps of all; got a tensor"
        )
    if not isinstance(steps, int):
        steps = lists["steps"] = list(steps)
    for name, each in lists.items():
        if len(each) != len(params):
            raise ValueError(
                f"{name} must be as many as params, {len(params)}, got {len(each)}; give None for "
                "a gradient or copy that there is not"
            )
    if isinstance(steps, list) and not all(map(is_tensor, steps)):
        raise TypeError(
            "steps in a list must be tensors, which are counted up; to count them yourself give "
            "one int for all parameters"
        )
    there = [i for i, grad in enumerate(given) if grad is not None]
    counts = [counted(steps if isinstance(steps, int) else steps[i], i) for i in there]
    h, parts = settings.fixed or settings.prepared(0)
    seed, rule = values["seed"], settings.rule
    for name, each in slots.items():
        if method.slots[name].values == "squares" and any(
            is_tensor(t) and t.dtype == torch.float16 for t in each
        ):
            raise TypeError(
                f"{name}s cannot be float16, in which squares below 6e-8 are zero; use bfloat16 or "
                "float32"
            )
    times = sorted(set(counts))
    half = any(s[i].dtype in HALVES for s in slots.values() for i in there if is_tensor(s[i]))
    rows = [
        (parts, method.step_coefficients(rule, h, t + 1), *([draws(seed, t + 1)] if half else []))
        for t in times
    ]
    call = Call(
        rule, [params[i] for i in there], [given[i] for i in there],
        {name: [s[i] for i in there] for name, s in slots.items()}, [copies[i] for i in there],
        rows, [times.index(t) for t in counts], there, grad_scale,
        [] if isinstance(steps, int) else [steps[i] for i in there],
    )  # fmt: skip
    if there:
        call.taken()


def is_tensor(value: Any) -> bool:
    return isinstance(value, Tensor)


def counted(step: Any, i: int) -> int:
    value = step
    if is_tensor(step) and step.numel() == 1 and not step.requires_grad:
        value = step.item()
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 2**53:
        raise ValueError(
            "steps must be one-element tensors of the completed steps, ≥ 0, that require no "
            f"gradient, or one int; got {shown(step)} for parameter {i}"
        )
    return int(value)


class Call:
    """One step over tensors that all have a gradient."""

    def __init__(
        self, rule: str, params: list[Any], grads: list[Any], slots: dict[str, list[Any]],
        copies: list[Any], rows: list[Any], row_of: list[int], numbers: list[int], scale: float,
        steps: list[Tensor],
    ) -> None:  # fmt: skip
        self.rule, self.params, self.grads, self.copies = rule, params, grads, copies
        self.slots = [slots[name] for name in RULES[rule].slots]
        self.rows, self.row_of, self.names, self.scale = (
            rows,
            row_of,
            list(map(str, numbers)),
            scale,
        )
        self.keys = list(map(key_of, self.names))
        self.written = [t for t in chain(params, *self.slots, copies) if is_tensor(t)]
        check_none_is_written(steps, self.written)
        if any(t.is_inference() for t in self.written):
            raise ValueError(
                "tensors made in inference mode cannot be written; copy them outside: x = x.clone()"
            )
        self.announce = partial(torch._C._increment_version, self.written)
        self.count = partial(torch._foreach_add_, steps, 1) if steps else bool
        self.kept: list[list[Array]] = []  # where what is overwritten is kept first
        self.keep = bool  # the same in the slower way

    def taken(self) -> Sequence[float]:
        """Take the step; what the rule concludes of all tensors."""
        found = self.natively()
        return self.by_table() if found is None else found

    def natively(self) -> Sequence[float] | None:
        """None where something cannot be taken as it is, with nothing done."""
        native = runtime.native()
        return native and native.step_lists(
            self.rule, TYPES, self.params, self.grads, self.slots, self.copies, self.rows,
            self.row_of, self.keys, self.scale, self.announce, self.count, self.kept,
            torch.get_num_threads(),
        )  # fmt: skip

    def by_table(self) -> list[float]:
        """The same with arrays, which is slower, and says what is wrong."""
        arrays, slots, copies = {}, [], []
        looks = [(t, look_at(t)) for t in self.written]
        written: dict[str, Array] = {}
        for i, (name, param) in enumerate(zip(self.names, self.params, strict=True)):
            check_tensor(f"params[{name}]", param)
            arrays[name] = written[f"params[{name}]"] = array_of(param)
            beside = dict(zip(RULES[self.rule].slots, (s[i] for s in self.slots), strict=True))
            for key, tensor in beside.items():
                check_beside(f"{key}s[{name}]", tensor, param)
                written[f"{key}s[{name}]"] = array_of(tensor)
            slots.append([in_format(tensor) for tensor in beside.values()])
            copies.append(self._copy(name, param, self.copies[i], written))
        check_apart(written)
        seen = {name: look(array) for name, array in arrays.items()}
        orders = [in_memory_order(param) for param in self.params]
        reader = TensorReader(arrays, seen, [{}] * len(arrays), NO_COPIES, orders=orders)
        stored_params = [
            stored(array, format_of_param(array, "nearest")) for array in arrays.values()
        ]
        scalars = [np.zeros(()) for _ in RULES[self.rule].whole.scalars]
        table = runtime.table_type(
            stored_params, slots, [scalars] * len(slots), [None] * len(slots), copies, self.keys,
            reader,
        )  # fmt: skip
        table.assign([(self.rule, False, False)] * len(self.rows), self.row_of)
        grads = [reader(i, grad) for i, grad in enumerate(self.grads)]
        if any(look_at(tensor) != before for tensor, before in looks):
            raise RuntimeError("tensors are given other memory while the step looks at them")
        self.announce()
        self.keep()
        table.step(grads, self.rows, self.scale, False, False)
        self.count()
        return [float(scalar) for scalar in scalars]

    def _copy(
        self, name: str, param: Tensor, copy: Any, written: dict[str, Array]
    ) -> Stored | None:
        if copy is None:
            return None
        check_copy(f"copies[{name}]", copy, param)
        array = written[f"copies[{name}]"] = array_of(copy)
        return Stored(array, format_of_param(array, "nearest") or "")


def check_none_is_written(steps: Sequence[Tensor], written: Sequence[Tensor]) -> None:
    """Raise a ValueError where one counts in the memory of what a step writes."""
    storages = {tensor.untyped_storage()._cdata for tensor in written if is_dense(tensor)}
    if any(step.untyped_storage()._cdata in storages for step in steps):
        raise ValueError(
            "a tensor of steps lies in the memory of a parameter, its state or its copy; give it "
            "its own: torch.tensor(0.0)"
        )


def is_dense(tensor: Tensor) -> bool:
    return tensor.layout == torch.strided and tensor.device.type == "cpu"


def check_beside(what: str, tensor: Any, param: Tensor) -> None:
    """Raise an error where a tensor cannot be written element by element with its parameter."""
    if not is_tensor(tensor):
        raise TypeError(f"{what} must be a tensor, got a {type(tensor).__name__}")
    check_tensor(what, tensor)
    wide = torch.float64 if param.dtype == torch.float64 else torch.float32
    legal = (wide,) if wide == torch.float64 else (wide, *HALVES)
    if tensor.dtype not in legal:
        raise TypeError(
            f"{what} has dtype {tensor.dtype} beside a parameter of {param.dtype}; expected "
            f"{' or '.join(map(str, legal))}. Make it with torch.zeros_like(param, dtype={wide})."
        )
    if not lies_like(tensor, param):
        raise ValueError(
            f"{what} has shape {tuple(tensor.shape)} and strides {tensor.stride()}; expected those "
            f"of its parameter, {tuple(param.shape)} and {param.stride()}. Make it with "
            "torch.zeros_like(param)."
        )


def in_format(tensor: Tensor) -> Any:
    """As tables take what is stored in the tensor's dtype; what is narrow is dithered."""
    array = array_of(tensor)
    if tensor.dtype == torch.bfloat16:
        array = array.view(np.uint16)
    format = str(tensor.dtype).removeprefix("torch.") if tensor.dtype in HALVES else None
    return dithered(stored(array, format))
