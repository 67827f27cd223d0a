"""torch.compile of the whole step."""

from __future__ import annotations

from typing import ClassVar

from benchmarks.contestants.contestant import Array, Contestant, Racer
from benchmarks.contestants.torch_eager import OFFERED, torch_optimizer
from benchmarks.works import Work


class TorchCompiled(Contestant):
    """Compiled anew for every case; the threads are those that torch has at that time."""

    name = "torch compiled"
    requires = ("torch",)
    # Step counts, and so whatever is computed from them, are float32 tensors.
    tolerance: ClassVar[dict[str, float]] = {"float32": 1e-4, "float64": 1e-4}
    most_tensors = 10
    most_works = ("AdamW", "SGD, momentum")

    def offers(self, work: Work) -> bool:
        return work.cls.__name__ in OFFERED and work.clip_norm is None

    def try_out(self) -> None:
        import torch

        torch.compile(lambda x: x + 1)(torch.ones(8))

    def prepare(self, work: Work, params: list[Array], grads: list[Array]) -> Racer:
        import torch

        torch.compiler.reset()
        _, opt = torch_optimizer(work, params, grads)
        return Racer(torch.compile(opt.step), lambda: params)
