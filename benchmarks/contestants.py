"""What a step is compared with. Each contestant gets its own parameters and returns its step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import gradstep as gs
from gradstep.optimizers.state import allocate

Array = NDArray[Any]
Step = Callable[[], object]

try:
    import torch
except ImportError:
    torch = None


@dataclass(frozen=True)
class Work:
    """An optimizer with options, in the words of each contestant."""

    name: str
    cls: type[gs.Optimizer]
    options: dict[str, Any]
    torch: str | None
    slots: int  # state arrays, each read and written once
    numpy: Callable[..., None] | None = None
    clip_norm: float | None = None

    @property
    def bytes_per_element(self) -> int:
        """float32: the gradient read, parameter and state read and written."""
        return 4 * (1 + 2 * (1 + self.slots))


def plain_sgd(p: Array, g: Array, state: dict[str, Any], lr: float, momentum: float) -> None:
    if "v" not in state:
        state["v"] = g.copy()
    else:
        state["v"] *= momentum
        state["v"] += g
    p -= lr * state["v"]


def plain_adamw(p: Array, g: Array, state: dict[str, Any], lr: float) -> None:
    beta1, beta2, eps, decay = 0.9, 0.999, 1e-8, 0.01
    if not state:
        state.update(t=0, m=np.zeros_like(p), v=np.zeros_like(p))
    state["t"] += 1
    m, v, t = state["m"], state["v"], state["t"]
    p *= 1 - lr * decay
    m *= beta1
    m += (1 - beta1) * g
    v *= beta2
    v += (1 - beta2) * g * g
    p -= lr / (1 - beta1**t) * m / (np.sqrt(v) / np.sqrt(1 - beta2**t) + eps)


TORCH_FUSED = {"SGD", "Adagrad", "Adam", "AdamW"}

ADAMW = Work("AdamW", gs.AdamW, {"lr": 1e-3}, "AdamW", 2, plain_adamw)
SGD = Work("SGD momentum", gs.SGD, {"lr": 1e-3, "momentum": 0.9}, "SGD", 1, plain_sgd)
CLIPPED = Work("clip_norm + AdamW", gs.AdamW, {"lr": 1e-3}, "AdamW", 2, plain_adamw, 1.0)


def every_optimizer() -> list[Work]:
    """All optimizers, and RMSprop and SGD in their larger forms, at their default options."""
    options: dict[type[gs.Optimizer], list[dict[str, Any]]] = {
        gs.SGD: [{}, {"momentum": 0.9}],
        gs.RMSprop: [{}, {"momentum": 0.9, "centered": True}],
        gs.AdamW: [{}, {"amsgrad": True}],
    }
    works = []
    for name in gs.__all__:
        cls = getattr(gs, name)
        if cls is gs.Optimizer or not (isinstance(cls, type) and issubclass(cls, gs.Optimizer)):
            continue
        for chosen in options.get(cls, [{}]):
            probe = cls([np.zeros(1, np.float32)], lr=1e-3, **chosen)
            title = ", ".join([name, *(option for option in chosen)])
            torch_name = name if torch is not None and hasattr(torch.optim, name) else None
            slots = len(probe.state["0"])
            works.append(Work(title, cls, {"lr": 1e-3, **chosen}, torch_name, slots))
    return works


def gradstep_step(work: Work, params: list[Array], grads: list[Array]) -> Step:
    opt = work.cls(params, **work.options, clip_norm=work.clip_norm)
    return lambda: opt.step(grads)


def torch_step(work: Work, params: list[Array], grads: list[Array], **how: bool) -> Step:
    tensors = [torch.nn.Parameter(torch.from_numpy(p)) for p in params]
    for tensor, grad in zip(tensors, grads, strict=True):
        tensor.grad = torch.from_numpy(grad)
    opt = getattr(torch.optim, work.torch)(tensors, **work.options, **how)
    if work.clip_norm is None:
        return opt.step

    def step() -> None:
        # Clipping scales the gradients in place; from the second call on they stay within.
        torch.nn.utils.clip_grad_norm_(tensors, work.clip_norm)
        opt.step()

    return step


def numpy_step(work: Work, params: list[Array], grads: list[Array]) -> Step:
    states: list[dict[str, Any]] = [{} for _ in params]

    def step() -> None:
        factor = 1.0
        if work.clip_norm is not None:
            norm = np.sqrt(sum(float(np.vdot(g, g)) for g in grads))
            factor = min(1.0, work.clip_norm / (norm + 1e-6))
        for p, g, state in zip(params, grads, states, strict=True):
            work.numpy(p, g if factor == 1.0 else factor * g, state, **work.options)

    return step


def roofline_step(work: Work, params: Sequence[Array], grads: Sequence[Array]) -> Step | None:
    """The same bytes with one addition per element: of the tensor itself, or of all as one.

    The arrays are placed like gradstep's: ones in each other's way would make an easy roof.
    """
    if "native" not in gs.runtime.available_backends():
        return None
    from gradstep import _native

    if len(params) == 1:
        read, param = grads[0], params[0]
    else:
        read, param = np.zeros((2, sum(p.size for p in params)), np.float32)
    written = [param, *(allocate(param, 0.0, place) for place in range(work.slots))]
    if work.clip_norm is None:
        return lambda: _native.stream(read, written)

    def step() -> None:
        _native.sum_of_squares([read])
        _native.stream(read, written)

    return step


def contestants(work: Work) -> dict[str, Callable[[list[Array], list[Array]], Step | None]]:
    made: dict[str, Callable[[list[Array], list[Array]], Step | None]] = {
        "gradstep": lambda p, g: gradstep_step(work, p, g),
        "roofline": lambda p, g: roofline_step(work, p, g),
    }
    if work.numpy is not None:
        made["numpy"] = lambda p, g: numpy_step(work, p, g)
    if torch is not None and work.torch is not None:
        if work.torch in TORCH_FUSED:
            made["torch fused"] = lambda p, g: torch_step(work, p, g, fused=True)
        made["torch foreach"] = lambda p, g: torch_step(work, p, g, foreach=True)
        made["torch for-loop"] = lambda p, g: torch_step(work, p, g, foreach=False)
    return made
