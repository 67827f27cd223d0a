"""What do gradients in bfloat16 on the wire cost? ``python -m benchmarks.studies.narrow_wire``

The relative error of sums of S shards, normally distributed, in float32 and with addends rounded to
bfloat16; and the digits of examples/digits.py trained with 8 shards both ways, of ten seeds. Needs
scikit-learn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import gradstep as gs
from gradstep.distributed.transport import Alone

SHARDS, BATCH, EPOCHS, HIDDEN, SEEDS = 8, 64, 30, 128, 10


def error(shards: int, wire: str | None) -> float:
    """The root mean square of a sum's error over that of the sum."""
    rng = np.random.default_rng(0)
    grads = [rng.normal(size=100_000).astype(np.float32) for _ in range(shards)]
    total = np.zeros(100_000, np.float32)
    opt = gs.distributed.Sharded(gs.SGD, total, Alone(), lr=1.0, average=False, wire=wire)
    opt.step(grads, shards=shards)
    exact = -np.sum(grads, axis=0, dtype=np.float64)
    return float(np.sqrt(np.mean((total - exact) ** 2) / np.mean(exact**2)))


def gradients(params: Sequence[Any], x: Any, y: Any) -> list[Any]:
    """Of the mean cross-entropy of a perceptron with one hidden layer."""
    w1, b1, w2, b2 = params
    hidden = np.maximum(x @ w1 + b1, 0.0)
    logits = hidden @ w2 + b2
    d_logits = np.exp(logits - logits.max(axis=1, keepdims=True))
    d_logits /= d_logits.sum(axis=1, keepdims=True)
    d_logits[np.arange(len(y)), y] -= 1.0
    d_logits /= len(y)
    d_hidden = (d_logits @ w2.T) * (hidden > 0.0)
    return [x.T @ d_hidden, d_hidden.sum(axis=0), hidden.T @ d_logits, d_logits.sum(axis=0)]


def accuracy(data: Any, seed: int, wire: str | None) -> float:
    x, x_test, y, y_test = data
    rng = np.random.default_rng(seed)
    params = [
        rng.normal(0.0, np.sqrt(2.0 / n), (n, m)).astype(np.float32) if n else np.zeros(m, "f4")
        for n, m in ((64, HIDDEN), (0, HIDDEN), (HIDDEN, 10), (0, 10))
    ]
    opt = gs.distributed.Sharded(gs.AdamW, params, Alone(), lr=5e-3, wire=wire)
    for _ in range(EPOCHS):
        for bx, by in gs.minibatches((x, y), BATCH, rng, drop_last=True):
            shards = zip(np.split(bx, SHARDS), np.split(by, SHARDS), strict=True)
            opt.step([gradients(params, *shard) for shard in shards], shards=SHARDS)
    w1, b1, w2, b2 = params
    found = (np.maximum(x_test @ w1 + b1, 0.0) @ w2 + b2).argmax(axis=1)
    return float((found == y_test).mean())


def main() -> None:
    for shards in (2, 8, 64):
        print(
            f"{shards:>3} shards: relative error of the sum {error(shards, None):.1e} in float32, "
            f"{error(shards, 'bfloat16'):.1e} with bfloat16 on the wire"
        )
    images, labels = load_digits(return_X_y=True)
    images = (images / 16.0).astype(np.float32)
    data = train_test_split(images, labels, test_size=0.25, random_state=0, stratify=labels)
    for wire in (None, "bfloat16"):
        of = [accuracy(data, seed, wire) for seed in range(SEEDS)]
        print(f"digits, wire={wire}: {np.mean(of):.2%} ± {np.std(of):.2%} correct, {SEEDS} seeds")


if __name__ == "__main__":
    main()
