"""A multi-layer perceptron in PyTorch, trained with AdamW: torch.optim's, and gradstep's on NumPy
views of parameters and gradients."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

from benchmarks.loops.loop import (
    BATCHES,
    LABELINGS,
    LR,
    MEASURED,
    NO_OPTIMIZER,
    ONE_THREAD,
    Kind,
    Loop,
    Running,
    data,
    weights,
)
from benchmarks.loops.ours import apply_setting, imported_first, installed

HOW: dict[str, dict[str, bool]] = {"torch default": {}, "torch fused": {"fused": True}}
OPTIONS = {"lr": LR, "weight_decay": 0.01}


def model_of(loop: Loop) -> Any:
    """Linear layers with ReLUs between them, and the weights that all loops begin with."""
    import torch

    layers: list[Any] = []
    start = weights(loop)
    for matrix, bias in zip(start[::2], start[1::2], strict=True):
        linear = torch.nn.Linear(*matrix.shape, dtype=getattr(torch, loop.dtype))
        linear.weight.data.copy_(torch.from_numpy(matrix.T))
        linear.bias.data.copy_(torch.from_numpy(bias))
        layers += [linear, torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


def adamw_of_ours(params: list[Any], gradstep: Any, contestant: str) -> Callable[[], object]:
    setting = apply_setting(gradstep, contestant)
    opt = gradstep.AdamW([p.detach().numpy() for p in params], **OPTIONS)

    def update(_kept: object = setting) -> None:
        opt.step([p.grad.numpy() for p in params])

    return update


class TorchMLP(Kind):
    name = "torch"
    imports_first = True
    peer, pinned = "torch default", "torch fused"
    others = (NO_OPTIMIZER, "torch default", "torch fused")
    ours = (MEASURED, ONE_THREAD)
    checked = 5  # forty layers make more of a rounding with every step
    tolerance: ClassVar[dict[str, float]] = {"float32": 1e-5, "float64": 1e-9}

    def start(self, loop: Loop, contestant: str, wheel: Path | None = None) -> Running:
        gradstep = installed(contestant, wheel) if imported_first(contestant) else None
        import torch

        model, (inputs, labels) = model_of(loop), data(loop)
        params = list(model.parameters())
        update: Callable[[], object]
        if contestant == NO_OPTIMIZER:
            update = lambda: None  # noqa: E731
        elif contestant in HOW:
            update = torch.optim.AdamW(params, **OPTIONS, **HOW[contestant]).step
        else:
            update = adamw_of_ours(params, gradstep or installed(contestant, wheel), contestant)
        xs, ys = [torch.from_numpy(x) for x in inputs], [torch.from_numpy(y) for y in labels]
        loss_of, steps, loss = torch.nn.CrossEntropyLoss(), count(), torch.tensor(math.nan)

        def step() -> None:
            nonlocal loss
            t = next(steps)
            model.zero_grad()
            loss = loss_of(model(xs[t % BATCHES]), ys[t % LABELINGS])
            loss.backward()
            update()

        return Running(step, lambda: loss.item())
