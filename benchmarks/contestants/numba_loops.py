"""The loop that one writes with Numba: fused, parallel, compiled at its first call."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np

from benchmarks.contestants.contestant import Array, Contestant, Racer
from benchmarks.works import LR, Work

OFFERED = {"SGD", "SGD, momentum", "Adam", "AdamW"}


@cache
def loops() -> SimpleNamespace:
    import numba

    @numba.njit(parallel=True)
    def sgd(p: Any, g: Any, lr: Any) -> None:
        for i in numba.prange(p.size):
            p[i] -= lr * g[i]

    @numba.njit(parallel=True)
    def sgd_momentum(p: Any, g: Any, v: Any, lr: Any, momentum: Any) -> None:
        for i in numba.prange(p.size):
            v[i] = momentum * v[i] + g[i]
            p[i] -= lr * v[i]

    @numba.njit(parallel=True)
    def adam(
        p: Any,
        g: Any,
        m: Any,
        v: Any,
        keep: Any,
        beta1: Any,
        new1: Any,
        beta2: Any,
        new2: Any,
        lr: Any,
        scale: Any,
        eps: Any,
    ) -> None:
        for i in numba.prange(p.size):
            m[i] = beta1 * m[i] + new1 * g[i]
            v[i] = beta2 * v[i] + new2 * g[i] * g[i]
            p[i] = keep * p[i] - lr * m[i] / (np.sqrt(v[i]) * scale + eps)

    return SimpleNamespace(sgd=sgd, sgd_momentum=sgd_momentum, adam=adam)


class NumbaLoops(Contestant):
    """Scalars come in the arrays' dtype; as Python's they would make float32 loops float64."""

    name = "numba"
    requires = ("numba",)

    def offers(self, work: Work) -> bool:
        return work.name in OFFERED

    def set_threads(self, count: int) -> None:
        import numba

        numba.set_num_threads(count)

    def prepare(self, work: Work, params: list[Array], grads: list[Array]) -> Racer:
        number = params[0].dtype.type
        flat = [p.reshape(-1) for p in params]
        given = [g.reshape(-1) for g in grads]
        slots = [[np.zeros_like(p) for p in flat] for _ in range(work.slots)]
        step: Callable[[], object]
        if work.slots == 2:
            step = adam_step(work, flat, given, slots, number)
        elif work.slots == 1:

            def step() -> None:
                for p, g, v in zip(flat, given, *slots, strict=True):
                    loops().sgd_momentum(p, g, v, number(LR), number(0.9))
        else:

            def step() -> None:
                for p, g in zip(flat, given, strict=True):
                    loops().sgd(p, g, number(LR))

        return Racer(step, lambda: params)


def adam_step(
    work: Work, params: list[Array], grads: list[Array], slots: list[list[Array]], number: Any
) -> Callable[[], object]:
    keep = 1 - LR * 0.01 if work.name == "AdamW" else 1.0
    t = 0

    def step() -> None:
        nonlocal t
        t += 1
        own = (keep, 0.9, 1 - 0.9, 0.999, 1 - 0.999)
        corrected = (LR / (1 - 0.9**t), (1 - 0.999**t) ** -0.5, 1e-8)
        coefficients = [number(c) for c in (*own, *corrected)]
        for p, g, m, v in zip(params, grads, *slots, strict=True):
            loops().adam(p, g, m, v, *coefficients)

    return step
