"""Products and decompositions that directions are made of, by NumPy or by PyTorch.

A step on PyTorch's tensors multiplies with PyTorch: threads of another BLAS would be awake beside
PyTorch's for milliseconds after each product, and hold up the passes before and after the step.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gradstep.directions.householder import orthonormal

Array = NDArray[Any]

ROWS = 96  # at least, of a symmetric product's blocks


class Products(Protocol):
    """Each writes into `out`, which overlaps with nothing."""

    def multiply(self, left: Array, right: Array, out: Array) -> None:
        """out ← left·right."""

    def gram(self, matrix: Array, out: Array) -> None:
        """out ← matrix·matrixᵀ."""

    def squares(self, vector: Array) -> float:
        """The sum of the squares of its elements."""

    def orthonormal(self, rows: Array) -> Array:
        """Qᵀ of the QR decomposition of a square matrix, whose columns are given as rows."""

    def eigenvectors(self, symmetric: Array) -> Array:
        """In columns, those of the smallest eigenvalues first."""

    def view(self, array: Array) -> Array:
        """The same memory, whose passes take the threads that products take."""


class ByNumPy:
    def multiply(self, left: Array, right: Array, out: Array) -> None:
        np.matmul(left, right, out=out)

    def gram(self, matrix: Array, out: Array) -> None:
        # NumPy sees that this is of a matrix and its own transpose, and does half the work.
        np.matmul(matrix, matrix.T, out=out)

    def squares(self, vector: Array) -> float:
        return float(np.dot(vector, vector))

    def orthonormal(self, rows: Array) -> Array:
        return orthonormal(rows)

    def eigenvectors(self, symmetric: Array) -> Array:
        return np.linalg.eigh(symmetric)[1]

    def view(self, array: Array) -> Array:
        return array


BY_NUMPY = ByNumPy()


def symmetric(products: Products, left: Array, right: Array, out: Array) -> None:
    """out ← left·right, of matrices whose product is symmetric, so that half of it says all."""
    for begin, end in row_blocks(len(out), ROWS):
        products.multiply(left[begin:end], right[:, :end], out[begin:end, :end])
        out[:begin, begin:end] = out[begin:end, :begin].T


def row_blocks(size: int, least: int) -> list[tuple[int, int]]:
    """Of a symmetric matrix, each computed up to its diagonal block and mirrored."""
    count = min(4, max(1, size // least))
    return [(size * i // count, size * (i + 1) // count) for i in range(count)]
