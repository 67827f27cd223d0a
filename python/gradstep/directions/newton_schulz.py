"""Newton and Schulz' iteration: a matrix with all its singular values near 1."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.arrays.memory import memory_order

Array = NDArray[Any]
Coefficients = tuple[float, float, float]


def as_matrix(array: Array) -> Array:
    """A contiguous array as a view of two axes, its first and all others together.

    In Fortran's order the columns come in another order than in C's, which matters to nothing
    that is computed here.
    """
    return array.reshape(array.shape[0], -1, order=memory_order(array))


class Memory:
    """Arrays for what lies between, in memory that is held; one of each name at a time."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, np.dtype[Any]], Array] = {}

    def of(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any], order: Any) -> Array:
        """What is there is as large as the largest so far."""
        size = math.prod(shape)
        held = self._held.get((name, dtype))
        if held is None or held.size < size:
            held = self._held[name, dtype] = np.empty(size, dtype)
        return held[:size].reshape(shape, order=order)

    def like(self, array: Array, name: str = "") -> Array:
        return self.of(name, array.shape, array.dtype, memory_order(array))


class NewtonSchulz:
    """The iteration in memory that is held, for matrices of any shapes.

    >>> matrix = np.array([[3.0, 0.0], [0.0, -0.1]], np.float32)
    >>> newton_schulz = NewtonSchulz()
    >>> newton_schulz.orthogonalize(matrix, (1.5, -0.5, 0.0), 20, 1e-7, 1.0)
    >>> matrix.round(3)
    array([[ 1.,  0.],
           [ 0., -1.]], dtype=float32)
    """

    def __init__(self) -> None:
        self._memory = Memory()

    def orthogonalize(
        self, matrix: Array, coefficients: Coefficients, steps: int, eps: float, factor: float
    ) -> None:
        """X ← X/max(‖X‖, ε), then so often X ← (a + b·XXᵀ + c·(XXᵀ)²)·X; `matrix` ← factor·X.

        A zero matrix stays zero. Where something is not finite, or `matrix` is huge, not all of the
        result is.
        """
        wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
        a, b, c = coefficients
        x, y = wide, self._memory.like(wide, "next")
        gram = self._memory.of("gram", (len(wide),) * 2, wide.dtype, "C")
        square = self._memory.like(gram, "square")
        norm = frobenius(wide)
        if least := max(norm, eps):
            x *= wide.dtype.type(1 / least)
        for _ in range(steps):
            # NumPy sees that these are of a matrix and its own transpose, and does half the work.
            np.matmul(x, x.T, out=gram)
            np.matmul(gram, gram.T, out=square)
            square *= wide.dtype.type(c)
            gram *= wide.dtype.type(b)
            gram += square
            gram.reshape(-1)[:: len(gram) + 1] += wide.dtype.type(a)
            np.matmul(gram, x, out=y)
            x, y = y, x
        np.multiply(x, wide.dtype.type(factor), out=wide)


def frobenius(matrix: Array) -> float:
    """The root of the sum of squares; where that overflows or underflows, of scaled ones."""
    values = matrix.reshape(-1, order=memory_order(matrix))
    total = float(np.dot(values, values))
    info = np.finfo(matrix.dtype)
    if values.size and not float(info.tiny) / float(info.eps) < total < np.inf:
        largest = max(float(values.max()), -float(values.min()))
        if 0 < largest < np.inf:
            scaled = values / matrix.dtype.type(largest)
            return float(np.sqrt(np.dot(scaled, scaled))) * largest
    return float(np.sqrt(total))
