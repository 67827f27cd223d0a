"""gradstep: the compiled kernels, on arrays and on tensors, and the reference in NumPy."""

from __future__ import annotations

import importlib
from typing import ClassVar

import gradstep as gs
from benchmarks.contestants.contestant import Array, Contestant, Racer
from benchmarks.contestants.torch_eager import tensors_on
from benchmarks.works import Work


class Native(Contestant):
    name = "gradstep"

    def offers(self, work: Work) -> bool:
        return True

    def set_threads(self, count: int) -> None:
        gs.runtime.set_num_threads(count)

    def prepare(self, work: Work, params: list[Array], grads: list[Array]) -> Racer:
        opt = work.cls(params, **work.options, clip_norm=work.clip_norm)
        return Racer(lambda: opt.step(grads), lambda: params)


class OnTensors(Contestant):
    """gradstep.torch, which takes as many threads as PyTorch has; measured where it races."""

    name = "gradstep"
    requires = ("torch",)

    def offers(self, work: Work) -> bool:
        return True

    def prepare(self, work: Work, params: list[Array], grads: list[Array]) -> Racer:
        cls = getattr(importlib.import_module("gradstep.torch"), work.cls.__name__)
        opt = cls(tensors_on(params, grads), **work.options, clip_norm=work.clip_norm)
        return Racer(opt.step, lambda: params)


class Reference(Contestant):
    """The same optimizer on the NumPy backend, on one thread."""

    name = "gradstep reference"
    tolerance: ClassVar[dict[str, float]] = {"float32": 0.0, "float64": 0.0}
    extra_arrays = 1
    most_elements = 2**24

    def offers(self, work: Work) -> bool:
        return True

    def try_out(self) -> None:
        if gs.runtime.backend() == "numpy":
            raise RuntimeError("gradstep itself runs on it")

    def prepare(self, work: Work, params: list[Array], grads: list[Array]) -> Racer:
        opt = work.cls(params, **work.options, clip_norm=work.clip_norm)

        def step() -> None:
            with gs.runtime.set_backend("numpy"):
                opt.step(grads)

        return Racer(step, lambda: params)
