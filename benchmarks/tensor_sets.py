"""The shapes that steps are measured on."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Shapes = list[tuple[int, ...]]


def mlp(*widths: int) -> Shapes:
    """Weight matrices and bias vectors of a multi-layer perceptron."""
    shapes: Shapes = []
    for fan_in, fan_out in pairwise(widths):
        shapes += [(fan_in, fan_out), (fan_out,)]
    return shapes


TENSOR_SETS: dict[str, Shapes] = {
    "1000 x 1000": [(1000,)] * 1000,
    "tiny MLP": mlp(2, 64, 64, 1),
    "MNIST MLP": mlp(784, 256, 128, 10),
    "33.5 M": [(2**25,)],
}


def make(shapes: Shapes, seed: int) -> list[NDArray[Any]]:
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape, dtype=np.float32) for shape in shapes]
