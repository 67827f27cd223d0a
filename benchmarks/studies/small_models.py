"""Two small models for studies that train: multi-layer perceptrons in plain NumPy.

"digits" are scikit-learn's; "characters" predicts the next of Python's own help texts from the
eight before it, so that nothing has to be fetched.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.loops.numpy_mlp import forward, loss_and_grads, loss_of

Array = np.ndarray[Any, Any]
Data = tuple[Array, Array]  # inputs, labels

CONTEXT, ALPHABET = 8, 40  # characters that are seen, and that there are


@dataclass(frozen=True)
class Model:
    """Layers of these widths, learning the examples that `data` gives, in batches."""

    name: str
    widths: tuple[int, ...]
    data: Callable[[], Data]
    batch: int
    steps: int

    def weights(self, seed: int) -> list[Array]:
        """He's initial values, and biases of zero."""
        rng = np.random.default_rng(seed)
        params = []
        for fan_in, fan_out in zip(self.widths, self.widths[1:], strict=False):
            deviation = np.sqrt(2.0 / fan_in)
            params.append(rng.normal(0.0, deviation, (fan_in, fan_out)).astype(np.float32))
            params.append(np.zeros(fan_out, np.float32))
        return params


def digits() -> Data:
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    return (images / 16.0).astype(np.float32), labels


def characters(examples: int = 20_000) -> Data:
    """One-hot characters in their order, and the number of the one that comes next."""
    from pydoc_data.topics import topics

    text = " ".join("\n".join(topics[name] for name in sorted(topics)).lower().split())
    alphabet = sorted(char for char, _ in Counter(text).most_common(ALPHABET))
    numbers = np.array([alphabet.index(char) for char in text if char in alphabet])
    places = np.linspace(0, len(numbers) - CONTEXT - 1, examples).astype(int)
    seen = numbers[places[:, None] + np.arange(CONTEXT)]
    one_hot = np.eye(ALPHABET, dtype=np.float32)[seen].reshape(examples, -1)
    return one_hot, numbers[places + CONTEXT]


DIGITS = Model("digits", (64, 256, 256, 10), digits, batch=64, steps=1500)
CHARACTERS = Model(
    "characters", (CONTEXT * ALPHABET, 256, 128, ALPHABET), characters, batch=64, steps=3000
)


def gradients(params: list[Array], data: Data, batch: int, rng: np.random.Generator) -> list[Array]:
    """Of a batch that `rng` draws."""
    chosen = rng.integers(0, len(data[1]), batch)
    return loss_and_grads(params, data[0][chosen], data[1][chosen])[1]


def loss(params: list[Array], data: Data) -> float:
    """Of all examples."""
    inputs, labels = data
    return loss_of(forward(params, inputs)[1], labels)
