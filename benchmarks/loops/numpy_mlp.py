"""A multi-layer perceptron in plain NumPy, trained with Adam."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.loops.loop import (
    BATCHES,
    LABELINGS,
    LR,
    NO_OPTIMIZER,
    PRODUCTS,
    Array,
    Kind,
    Loop,
    Running,
    data,
    weights,
)
from benchmarks.loops.ours import apply_setting, installed

BETA1, BETA2, EPS = 0.9, 0.999, 1e-8

Update = Callable[[Any], Any]  # given gradients


def forward(params: list[Array], x: Array) -> tuple[list[Array], Array]:
    """What goes into each layer of ReLUs, and the logarithms of the probabilities."""
    last = len(params) - 2
    layers = [x]
    for i in range(0, last, 2):
        layers.append(np.maximum(layers[-1] @ params[i] + params[i + 1], 0.0))
    logits = layers[-1] @ params[last] + params[last + 1]
    logits -= logits.max(axis=1, keepdims=True)
    return layers, logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def loss_of(log_probs: Array, labels: Array) -> float:
    """Mean cross-entropy."""
    return float(-log_probs[np.arange(len(labels)), labels].mean())


def loss_and_grads(params: list[Array], x: Array, labels: Array) -> tuple[float, list[Array]]:
    """Mean softmax cross-entropy after layers of ReLUs, and its gradients."""
    layers, log_probs = forward(params, x)
    delta = np.exp(log_probs)
    delta[np.arange(len(labels)), labels] -= 1.0
    delta /= len(labels)
    grads = []
    for i in range(len(params) - 2, -1, -2):
        below = layers[i // 2]
        grads += [delta.sum(axis=0), below.T @ delta]
        if i:
            delta = (delta @ params[i].T) * (below > 0.0)
    return loss_of(log_probs, labels), grads[::-1]


def with_temporaries(params: list[Array]) -> Update:
    """Adam as people write it."""
    averages = [(np.zeros_like(p), np.zeros_like(p)) for p in params]
    steps = count(1)

    def update(grads: list[Array]) -> None:
        t = next(steps)
        for p, g, (m, v) in zip(params, grads, averages, strict=True):
            m *= BETA1
            m += (1 - BETA1) * g
            v *= BETA2
            v += (1 - BETA2) * g * g
            mhat = m / (1 - BETA1**t)
            vhat = v / (1 - BETA2**t)
            p -= LR * mhat / (np.sqrt(vhat) + EPS)

    return update


def without_temporaries(params: list[Array]) -> Update:
    """Adam as those write it who know where NumPy's time goes."""
    averages = [(np.zeros_like(p), np.zeros_like(p)) for p in params]
    scratch = [(np.empty_like(p), np.empty_like(p)) for p in params]
    steps = count(1)

    def update(grads: list[Array]) -> None:
        t = next(steps)
        rate, root = LR / (1 - BETA1**t), 1 / math.sqrt(1 - BETA2**t)
        for p, g, (m, v), (a, b) in zip(params, grads, averages, scratch, strict=True):
            m *= BETA1
            np.multiply(g, 1 - BETA1, out=a)
            m += a
            v *= BETA2
            np.multiply(g, g, out=a)
            a *= 1 - BETA2
            v += a
            np.sqrt(v, out=a)
            a *= root
            a += EPS
            np.multiply(m, rate, out=b)
            b /= a
            p -= b

    return update


def adam_of_ours(params: list[Array], contestant: str, wheel: Path | None) -> Update:
    gradstep = installed(contestant, wheel)
    setting = apply_setting(gradstep, contestant)
    opt = gradstep.Adam(params, lr=LR, betas=(BETA1, BETA2), eps=EPS)

    def update(grads: list[Array], _kept: object = setting) -> None:
        opt.step(grads)

    return update


def products_alone(loop: Loop) -> Running:
    """The matrix products of a training step, and nothing else."""
    matrices = weights(loop)[::2]
    layers = [np.ones_like(matrices[0], shape=(loop.batch, width)) for width in loop.widths]

    def step() -> None:
        for below, above, matrix in zip(layers, layers[1:], matrices, strict=False):
            below @ matrix
            below.T @ above
            if below is not layers[0]:
                above @ matrix.T

    return Running(step, lambda: math.nan)


class NumpyMLP(Kind):
    name = "NumPy"
    peer = pinned = "numpy"
    others = (NO_OPTIMIZER, "numpy", "numpy out=")
    bounds = (PRODUCTS, NO_OPTIMIZER)

    def update(self, params: list[Array], contestant: str, wheel: Path | None) -> Update:
        if contestant == NO_OPTIMIZER:
            return len
        if contestant == "numpy":
            return with_temporaries(params)
        if contestant == "numpy out=":
            return without_temporaries(params)
        return adam_of_ours(params, contestant, wheel)

    def take(self, update: Update, evaluate: Callable[[], tuple[float, list[Array]]]) -> float:
        """A training step, given what computes loss and gradients; its loss."""
        loss, grads = evaluate()
        update(grads)
        return loss

    def start(self, loop: Loop, contestant: str, wheel: Path | None = None) -> Running:
        if contestant == PRODUCTS:
            return products_alone(loop)
        params, (inputs, labels) = weights(loop), data(loop)
        update = self.update(params, contestant, wheel)
        t, loss = -1, math.nan

        def evaluate() -> tuple[float, list[Array]]:
            return loss_and_grads(params, inputs[t % BATCHES], labels[t % LABELINGS])

        def step() -> None:
            nonlocal loss, t
            t += 1
            loss = self.take(update, evaluate)

        return Running(step, lambda: loss)


class BesideTorch(NumpyMLP):
    """The same in a process that has PyTorch, and its threads, for something else."""

    name = "NumPy beside torch"

    def start(self, loop: Loop, contestant: str, wheel: Path | None = None) -> Running:
        importlib.import_module("torch")
        return super().start(loop, contestant, wheel)
