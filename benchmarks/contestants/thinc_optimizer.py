"""Thinc's Optimizer, spaCy's: called once per tensor."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from benchmarks.contestants.contestant import Array, Contestant, Racer
from benchmarks.works import LR, Work

DECAY = {"SGD": 0.0, "Adam": 0.0, "AdamW": 0.01}


class Thinc(Contestant):
    """It zeroes gradients, so that each step begins with a copy of them. It runs on one thread."""

    name = "thinc"
    requires = ("thinc.api",)
    dtypes = ("float32",)
    # Its eps is not bias-corrected, which shows where a gradient is nearly zero.
    tolerance: ClassVar[dict[str, float]] = {"float32": 1e-4}
    extra_arrays = 1

    def offers(self, work: Work) -> bool:
        return work.name in DECAY

    def prepare(self, work: Work, params: list[Array], grads: list[Array]) -> Racer:
        from thinc.api import Optimizer

        betas = (0.0, 0.0) if work.name == "SGD" else (0.9, 0.999)
        opt = Optimizer(
            LR,
            beta1=betas[0],
            beta2=betas[1],
            L2=DECAY[work.name],
            grad_clip=0.0,
            use_averages=False,
        )
        given = [np.empty_like(g) for g in grads]

        def step() -> None:
            for i, (p, g, own) in enumerate(zip(params, grads, given, strict=True)):
                np.copyto(own, g)
                opt((i, "param"), p, own)
            opt.step_schedules()

        return Racer(step, lambda: params)
