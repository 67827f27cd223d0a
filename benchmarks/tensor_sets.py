"""The shapes that steps are measured on."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 2**16

Shapes = list[tuple[int, ...]]


def mlp(*widths: int) -> Shapes:
    """Weight matrices and bias vectors of a multi-layer perceptron."""
    shapes: Shapes = []
    for fan_in, fan_out in pairwise(widths):
        shapes += [(fan_in, fan_out), (fan_out,)]
    return shapes


def resnet50(classes: int = 1000) -> Shapes:
    """He et al. 2015: bottleneck blocks (1×1, 3×3, 1×1), each convolution with a batch norm."""

    def convolution(fan_out: int, fan_in: int, size: int) -> Shapes:
        return [(fan_out, fan_in, size, size), (fan_out,), (fan_out,)]

    shapes = convolution(64, 3, 7)
    width_in = 64
    for width, blocks in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for block in range(blocks):
            shapes += convolution(width, width_in, 1)
            shapes += convolution(width, width, 3)
            shapes += convolution(4 * width, width, 1)
            if block == 0:  # the shortcut changes width, too
                shapes += convolution(4 * width, width_in, 1)
            width_in = 4 * width
    return [*shapes, (classes, width_in), (classes,)]


def gpt2(
    layers: int = 12, width: int = 768, vocabulary: int = 50257, context: int = 1024
) -> Shapes:
    """Radford et al. 2019, GPT-2 small; the head is tied to the token embedding."""
    norm: Shapes = [(width,), (width,)]
    block: Shapes = [
        *norm,
        *[(width, 3 * width), (3 * width,), (width, width), (width,)],
        *norm,
        *[(width, 4 * width), (4 * width,), (4 * width, width), (width,)],
    ]
    return [(vocabulary, width), (context, width), *block * layers, *norm]


TENSOR_SETS: dict[str, Shapes] = {
    "1000 x 1000": [(1000,)] * 1000,
    "tiny MLP": mlp(2, 64, 64, 1),
    "MNIST MLP": mlp(784, 256, 128, 10),
    "ResNet-50": resnet50(),
    "GPT-2 small": gpt2(),
    "32 Ki": [(2**15,)],
    "1 Mi": [(2**20,)],
    "33.5 M": [(2**25,)],
}


def elements(shapes: Shapes) -> int:
    return sum(math.prod(shape) for shape in shapes)


def make(shapes: Shapes, seed: int, dtype: str = "float32") -> list[NDArray[Any]]:
    """Normally distributed arrays; large ones repeat themselves after 65,536 numbers."""
    rng = np.random.default_rng(seed)
    arrays = []
    for shape in shapes:
        block = rng.standard_normal(min(math.prod(shape), BLOCK), np.dtype(dtype).type)
        arrays.append(np.resize(block, shape))
    return arrays
