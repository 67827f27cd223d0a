"""What one writes in NumPy: each line of the paper an array expression.

Scalars are Python's: NumPy's own would make float32 arrays float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.contestants.contestant import Array, Contestant, Racer
from benchmarks.works import Work

State = dict[str, Any]


def sgd(p: Array, g: Array, state: State, lr: float, momentum: float = 0.0) -> None:
    if not momentum:
        p -= lr * g
        return
    if "v" not in state:
        state["v"] = g.copy()
    else:
        state["v"] *= momentum
        state["v"] += g
    p -= lr * state["v"]


def adagrad(p: Array, g: Array, state: State, lr: float) -> None:
    total = state.setdefault("sum", np.zeros_like(p))
    total += g * g
    p -= lr * g / (np.sqrt(total) + 1e-10)


def rmsprop(p: Array, g: Array, state: State, lr: float) -> None:
    v = state.setdefault("v", np.zeros_like(p))
    v *= 0.99
    v += (1 - 0.99) * g * g
    p -= lr * g / (np.sqrt(v) + 1e-8)


def adam(p: Array, g: Array, state: State, lr: float) -> None:
    beta1, beta2, eps = 0.9, 0.999, 1e-8
    if not state:
        state.update(t=0, m=np.zeros_like(p), v=np.zeros_like(p))
    state["t"] += 1
    m, v, t = state["m"], state["v"], state["t"]
    m *= beta1
    m += (1 - beta1) * g
    v *= beta2
    v += (1 - beta2) * g * g
    p -= lr / (1 - beta1**t) * m / (np.sqrt(v) / math.sqrt(1 - beta2**t) + eps)


def adamw(p: Array, g: Array, state: State, lr: float) -> None:
    p *= 1 - lr * 0.01
    adam(p, g, state, lr)


UPDATES: dict[str, Callable[..., None]] = {
    "SGD": sgd,
    "SGD, momentum": sgd,
    "Adagrad": adagrad,
    "RMSprop": rmsprop,
    "Adam": adam,
    "AdamW": adamw,
    "clip_norm + AdamW": adamw,
}


class PlainNumpy(Contestant):
    """It runs on one thread."""

    name = "numpy"
    extra_arrays = 3

    def offers(self, work: Work) -> bool:
        return work.name in UPDATES

    def prepare(self, work: Work, params: list[Array], grads: list[Array]) -> Racer:
        update = UPDATES[work.name]
        states: list[State] = [{} for _ in params]

        def step() -> None:
            factor = 1.0
            if work.clip_norm is not None:
                norm = math.sqrt(sum(float(np.vdot(g, g)) for g in grads))
                factor = min(1.0, work.clip_norm / (norm + 1e-6))
            for p, g, state in zip(params, grads, states, strict=True):
                update(p, g if factor == 1.0 else factor * g, state, **work.options)

        return Racer(step, lambda: params)
