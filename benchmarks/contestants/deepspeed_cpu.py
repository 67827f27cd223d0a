"""DeepSpeed's CPU kernels, which it compiles at their first use."""

from __future__ import annotations

import importlib

from benchmarks.contestants.contestant import Array, Contestant, Racer
from benchmarks.works import Work

PLACES = {"Adam": "adam", "AdamW": "adam", "Lion": "lion", "Adagrad": "adagrad"}
CLASSES = {
    "adam": "DeepSpeedCPUAdam",
    "lion": "DeepSpeedCPULion",
    "adagrad": "DeepSpeedCPUAdagrad",
}


class DeepSpeed(Contestant):
    """It shares torch's OpenMP, and with it the number of threads.

    Its Adagrad (0.19) overwrites gradients with updates, so that each step begins with a copy.
    """

    name = "deepspeed"
    requires = ("torch", "deepspeed")
    dtypes = ("float32",)
    extra_arrays = 1

    def offers(self, work: Work) -> bool:
        return work.name in PLACES

    def try_out(self) -> None:
        import torch

        for place in CLASSES:
            weight = torch.nn.Parameter(torch.ones(8))
            weight.grad = torch.ones(8)
            self._class(place)([weight]).step()

    def _class(self, place: str) -> type:
        return getattr(importlib.import_module(f"deepspeed.ops.{place}"), CLASSES[place])

    def prepare(self, work: Work, params: list[Array], grads: list[Array]) -> Racer:
        import torch

        tensors = [torch.nn.Parameter(torch.from_numpy(p)) for p in params]
        given = [torch.from_numpy(grad) for grad in grads]
        copies = work.name == "Adagrad"
        for tensor, grad in zip(tensors, given, strict=True):
            tensor.grad = grad.clone() if copies else grad
        options = dict(work.options)
        if PLACES[work.name] == "adam":
            adamw = work.name == "AdamW"
            options.update(adamw_mode=adamw, weight_decay=0.01 if adamw else 0.0)
        elif work.name == "Lion":
            options.update(betas=(0.9, 0.99))
        opt = self._class(PLACES[work.name])(tensors, **options)
        if not copies:
            return Racer(opt.step, lambda: params)

        def step() -> None:
            for tensor, grad in zip(tensors, given, strict=True):
                tensor.grad.copy_(grad)
            opt.step()

        return Racer(step, lambda: params)
