"""Who takes part where parameters, gradients or state are stored in few bits.

Each is a function of the number of elements that gives a step, and the bytes per element that it
has to move. Gradients are in the parameters' format, or in bfloat16 for float32 masters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import gradstep as gs
from benchmarks.interleave import Step
from benchmarks.stored import dtype_of, held
from benchmarks.tensor_sets import make


class Stepping(NamedTuple):
    step: Step
    bytes_held: int  # parameters, state and what lies beside; gradients are the caller's


class Entry(NamedTuple):
    start: Callable[[int], Stepping]
    bytes_moved: float


def ours(
    cls: type[gs.Optimizer], param: str, grad: str, options: Mapping[str, Any], elements: int
) -> Stepping:
    params = [p.astype(dtype_of(param)) for p in make([(elements,)], 0)]
    grads = [g.astype(dtype_of(grad)) for g in make([(elements,)], 1)]
    opt = cls(params, **options)
    return Stepping(lambda: opt.step(grads), held(opt, params))


def ours_with_copies(elements: int) -> Stepping:
    """Masters in float32, whose copies in bfloat16 the step writes."""
    masters, grads = ({"W": make([(elements,)], seed)[0]} for seed in (0, 1))
    copies = {"W": masters["W"].astype(dtype_of("bfloat16"))}
    narrow = {"W": grads["W"].astype(dtype_of("bfloat16"))}
    opt = gs.AdamW(masters, copies=copies, lr=LR)
    arrays = [*masters.values(), *copies.values()]
    return Stepping(lambda: opt.step(narrow), held(opt, arrays))


def held_by_torch(opt: Any, *others: Any) -> int:
    """Its parameters and state; subclasses of tensors say what they hold inside."""
    tensors = [p for group in opt.param_groups for p in group["params"]]
    tensors += [t for state in opt.state.values() for t in state.values() if hasattr(t, "numel")]
    total = 0
    for tensor in (*tensors, *others):
        inner = getattr(tensor, "__tensor_flatten__", lambda: ((), None))()[0]
        parts = [getattr(tensor, name) for name in inner] or [tensor]
        total += sum(part.numel() * part.element_size() for part in parts)
    return total


def torch_fused(name: str, dtype: str, options: Mapping[str, Any], elements: int) -> Stepping:
    import torch

    param, grad = (torch.from_numpy(make([(elements,)], seed)[0]) for seed in (0, 1))
    tensor = torch.nn.Parameter(param.to(getattr(torch, dtype)))
    tensor.grad = grad.to(getattr(torch, dtype))
    opt = getattr(torch.optim, name)([tensor], fused=True, **options)
    opt.step()
    return Stepping(opt.step, held_by_torch(opt))


def torch_three_passes(elements: int) -> Stepping:
    """Gradients widened, the step on float32 masters, and the parameters narrowed."""
    import torch

    param, grad = (torch.from_numpy(make([(elements,)], seed)[0]) for seed in (0, 1))
    master, narrow = torch.nn.Parameter(param), param.bfloat16()
    gradient = grad.bfloat16()
    opt = torch.optim.AdamW([master], lr=LR, fused=True)

    def step() -> None:
        master.grad = gradient.float()
        opt.step()
        narrow.copy_(master.detach())

    step()
    return Stepping(step, held_by_torch(opt, narrow))


def adamw_8bit(module: str, elements: int) -> Stepping:
    """Of bitsandbytes or torchao."""
    import importlib

    import torch

    param, grad = (torch.from_numpy(make([(elements,)], seed)[0]) for seed in (0, 1))
    tensor = torch.nn.Parameter(param)
    tensor.grad = grad
    opt = importlib.import_module(module).AdamW8bit([tensor], lr=LR)
    opt.step()
    return Stepping(opt.step, held_by_torch(opt))


LR = 1e-3
MOMENTUM = {"lr": LR, "momentum": 0.9}
HALF, EIGHT = {"state_dtype": "bfloat16"}, {"state_dtype": "8bit"}
SPLIT, STOCHASTIC = {"rounding": "split"}, {"rounding": "stochastic"}


def adamw(param: str, grad: str, **options: Any) -> Callable[[int], Stepping]:
    return partial(ours, gs.AdamW, param, grad, {"lr": LR, **options})


MEASURED = "gradstep, float32"
ADAMW: dict[str, Entry] = {
    MEASURED: Entry(adamw("float32", "float32"), 28),
    "gradstep, all bfloat16": Entry(adamw("bfloat16", "bfloat16", **HALF), 14),
    "gradstep, all bfloat16, stochastic": Entry(
        adamw("bfloat16", "bfloat16", **HALF, **STOCHASTIC), 14
    ),
    "gradstep, bfloat16 split, state float32": Entry(adamw("bfloat16", "bfloat16", **SPLIT), 26),
    "gradstep, bfloat16 split, state bfloat16": Entry(
        adamw("bfloat16", "bfloat16", **SPLIT, **HALF), 18
    ),
    "gradstep, float32, bfloat16 gradient and copy": Entry(ours_with_copies, 28),
    "gradstep, float32, state 8bit": Entry(adamw("float32", "float32", **EIGHT), 16.0625),
    "torch fused, float32": Entry(partial(torch_fused, "AdamW", "float32", {"lr": LR}), 28),
    "torch fused, all bfloat16": Entry(partial(torch_fused, "AdamW", "bfloat16", {"lr": LR}), 14),
    "torch, three passes": Entry(torch_three_passes, 40),
    "bitsandbytes, state 8bit": Entry(partial(adamw_8bit, "bitsandbytes.optim"), 16.0625),
    "torchao, state 8bit": Entry(partial(adamw_8bit, "torchao.optim"), 16.0625),
}
SGD: dict[str, Entry] = {
    MEASURED: Entry(partial(ours, gs.SGD, "float32", "float32", MOMENTUM), 20),
    "gradstep, all bfloat16": Entry(
        partial(ours, gs.SGD, "bfloat16", "bfloat16", {**MOMENTUM, **HALF}), 10
    ),
    "torch fused, float32": Entry(partial(torch_fused, "SGD", "float32", MOMENTUM), 20),
    "torch fused, all bfloat16": Entry(partial(torch_fused, "SGD", "bfloat16", MOMENTUM), 10),
}
FIELDS = {"AdamW": ADAMW, "SGD, momentum": SGD}
