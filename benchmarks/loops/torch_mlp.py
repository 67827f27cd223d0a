"""A multi-layer perceptron in PyTorch, trained with AdamW: torch.optim's, gradstep.torch's, and
gradstep's on NumPy views of parameters and gradients."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
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
VIEWS = "gradstep on NumPy views"
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


def optimizer_of(model: Any, contestant: str, wheel: Path | None, gradstep: Any) -> Any:
    """What has a ``step()`` and a ``zero_grad()``; gradstep is imported where it has not been."""
    import torch

    params = list(model.parameters())
    if contestant == NO_OPTIMIZER:
        return SimpleNamespace(step=lambda: None, zero_grad=model.zero_grad)
    if contestant in HOW:
        return torch.optim.AdamW(params, **OPTIONS, **HOW[contestant])
    gradstep = gradstep or installed(contestant, wheel)
    if contestant == VIEWS:
        opt = gradstep.AdamW([p.detach().numpy() for p in params], **OPTIONS)
        step = lambda: opt.step([p.grad.numpy() for p in params])  # noqa: E731
        return SimpleNamespace(step=step, zero_grad=model.zero_grad)
    opt = importlib.import_module("gradstep.torch").AdamW(params, **OPTIONS)
    opt.setting = apply_setting(gradstep, contestant)
    return opt


class TorchMLP(Kind):
    name = "torch"
    imports_first = True
    peer, pinned = "torch default", "torch fused"
    others = (NO_OPTIMIZER, "torch default", "torch fused", VIEWS)
    ours = (MEASURED, ONE_THREAD)
    checked = 5  # forty layers make more of a rounding with every step
    tolerance: ClassVar[dict[str, float]] = {"float32": 1e-5, "float64": 1e-9}

    def optimizer(self, model: Any, contestant: str, wheel: Path | None, gradstep: Any) -> Any:
        return optimizer_of(model, contestant, wheel, gradstep)

    def take(self, opt: Any, evaluate: Callable[[], Any]) -> Any:
        """A training step, given what computes loss and gradients; its loss."""
        loss = evaluate()
        opt.step()
        return loss

    def start(self, loop: Loop, contestant: str, wheel: Path | None = None) -> Running:
        gradstep = installed(contestant, wheel) if imported_first(contestant) else None
        import torch

        model, (inputs, labels) = model_of(loop), data(loop)
        opt = self.optimizer(model, contestant, wheel, gradstep)
        xs, ys = [torch.from_numpy(x) for x in inputs], [torch.from_numpy(y) for y in labels]
        loss_of, t, loss = torch.nn.CrossEntropyLoss(), -1, torch.tensor(math.nan)

        def evaluate() -> Any:
            opt.zero_grad()
            loss = loss_of(model(xs[t % BATCHES]), ys[t % LABELINGS])
            loss.backward()
            return loss

        def step() -> None:
            nonlocal loss, t
            t += 1
            loss = self.take(opt, evaluate)

        return Running(step, lambda: loss.item())
