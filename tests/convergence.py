"""Three problems and, for every optimizer, settings that solve them.

``python -m tests.convergence`` prints the losses that are reached, as a table.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

import gradstep as gs

Array = NDArray[Any]
Loss = Callable[[Array], tuple[float, Array]]
Problem = tuple[str, Loss, Callable[[], Array], int, float]

# Options for all problems, then the lr for the digits, the ravine and Rosenbrock.
SETTINGS: dict[type[gs.Optimizer], tuple[dict[str, Any], tuple[float, float, float]]] = {
    gs.SGD: ({"momentum": 0.9}, (1.0, 0.03, 0.003)),
    gs.SignSGD: ({}, (0.01, 0.01, 0.001)),
    gs.Signum: ({}, (0.01, 0.01, 0.001)),
    gs.Lion: ({}, (0.01, 0.01, 0.001)),
    gs.ASGD: ({}, (3.0, 0.1, 0.001)),
    gs.Rprop: ({}, (0.01, 0.1, 0.001)),
    gs.Adagrad: ({}, (0.3, 0.5, 1.0)),
    gs.Adadelta: ({}, (30.0, 3.0, 0.1)),
    gs.RMSprop: ({}, (0.03, 0.1, 0.001)),
    gs.FTRL: ({}, (3.0, 1.0, 1.0)),
    gs.Adam: ({}, (0.1, 0.1, 0.03)),
    gs.AdamW: ({}, (0.1, 0.1, 0.03)),
    gs.NAdam: ({}, (0.1, 0.1, 0.01)),
    gs.RAdam: ({"betas": (0.9, 0.99)}, (0.1, 0.1, 0.001)),
    gs.Adamax: ({}, (0.1, 0.3, 0.03)),
    gs.AdaBelief: ({}, (0.1, 0.1, 0.03)),
    gs.Yogi: ({}, (0.1, 0.03, 0.3)),
    gs.ADOPT: ({}, (0.1, 0.1, 0.1)),
    gs.LaProp: ({}, (0.1, 0.1, 0.03)),
    gs.Adan: ({}, (0.1, 0.3, 0.001)),
    gs.LAMB: ({}, (0.03, 0.03, 0.01)),
    gs.LARS: ({"trust_coefficient": 0.01}, (1.0, 0.3, 0.1)),
    gs.NovoGrad: ({}, (0.1, 0.03, 0.003)),
    gs.StableAdamW: ({}, (0.1, 0.1, 0.03)),
    gs.MARS: ({}, (0.1, 0.1, 0.03)),
    gs.Adafactor: ({"eps": (None, 0.1)}, (0.05, 0.1, 0.03)),
    gs.Prodigy: ({}, (1.0, 1.0, 1.0)),
    gs.ScheduleFreeSGD: ({}, (3.0, 0.05, 0.003)),
    gs.ScheduleFreeAdamW: ({}, (0.1, 0.1, 0.03)),
    gs.Muon: ({"weight_decay": 0.0}, (0.1, 0.03, 0.001)),
    gs.SOAP: ({"weight_decay": 0.0}, (0.1, 0.1, 0.03)),
    gs.AdEMAMix: ({"alpha": 1.0, "betas": (0.9, 0.999, 0.99)}, (0.1, 0.1, 0.01)),
}

OF_MATRICES = (gs.Muon, gs.SOAP)


@cache
def digits() -> tuple[Array, Array]:
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    return np.float32(images / 16.0), labels


def digits_loss(weights: Array) -> tuple[float, Array]:
    """Logistic regression on the UCI handwritten digits: mean cross-entropy, 64 x 10 weights."""
    images, labels = digits()
    logits = images @ weights
    logits -= logits.max(axis=1, keepdims=True)
    log_probs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    rows = np.arange(len(labels))
    delta = np.exp(log_probs)
    delta[rows, labels] -= 1.0
    return float(-log_probs[rows, labels].mean()), images.T @ delta / len(labels)


def ravine_loss(w: Array) -> tuple[float, Array]:
    """w1² + 8·w2²."""
    return float(w[0] ** 2 + 8 * w[1] ** 2), np.array([2 * w[0], 16 * w[1]])


def rosenbrock_loss(w: Array) -> tuple[float, Array]:
    """(1 − x)² + 100·(y − x²)²."""
    x, y = w
    gradient = np.array([-2 * (1 - x) - 400 * x * (y - x * x), 200 * (y - x * x)])
    return float((1 - x) ** 2 + 100 * (y - x * x) ** 2), gradient


# Name, loss, start, steps, and the loss to be reached.
PROBLEMS: tuple[Problem, ...] = (
    ("digits", digits_loss, lambda: np.zeros((64, 10), np.float32), 200, 0.2),
    ("ravine", ravine_loss, lambda: np.array([1.0, 1.0]), 200, 5e-3),
    ("Rosenbrock", rosenbrock_loss, lambda: np.array([-1.2, 1.0]), 5000, 0.1),
)


def reached(cls: type[gs.Optimizer], problem: int, options: dict[str, Any], lr: float) -> float:
    """The loss after the problem's number of steps. Matrices that vectors become are rows."""
    _, loss, start, steps, _ = PROBLEMS[problem]
    params = start()
    shape = (1, params.size) if params.ndim == 1 and cls in OF_MATRICES else params.shape
    opt = cls(params.reshape(shape), lr=lr, **options)  # type: ignore[call-arg]
    for _ in range(steps):
        opt.step(loss(params)[1].reshape(shape))
    return loss(params)[0]


def main() -> None:
    print("| optimizer | options | " + " | ".join(f"{p[0]}: lr, loss" for p in PROBLEMS) + " |")
    print("|---|---|" + "---|" * len(PROBLEMS))
    for cls, (options, lrs) in SETTINGS.items():
        cells = [f"{lr:g}, {reached(cls, i, options, lr):.2g}" for i, lr in enumerate(lrs)]
        words = ", ".join(f"{name}={value!r}" for name, value in options.items())
        print(f"| {cls.__name__} | {words or 'defaults'} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
