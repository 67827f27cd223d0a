"""Products and decompositions by PyTorch, of arrays as they are."""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray

from gradstep.directions.products import ByNumPy, symmetric

Array = NDArray[Any]

# Multiplications of a product that BLAS has no threads for, and elements of a sum: NumPy has done
# them before PyTorch has begun.
FEW, FEW_IN_SUMS = 64**3, 10_000


class ByTorch(ByNumPy):
    def multiply(self, left: Array, right: Array, out: Array) -> None:
        if left.size * right.shape[1] <= FEW:
            super().multiply(left, right, out)
        else:
            torch.mm(torch.from_numpy(left), torch.from_numpy(right), out=torch.from_numpy(out))

    def gram(self, matrix: Array, out: Array) -> None:
        symmetric(self, matrix, matrix.T, out)

    def squares(self, vector: Array) -> float:
        if vector.size <= FEW_IN_SUMS:
            return super().squares(vector)
        tensor = torch.from_numpy(vector)
        return float(torch.dot(tensor, tensor))

    def orthonormal(self, rows: Array) -> Array:
        if rows.size * len(rows) <= FEW:
            return super().orthonormal(rows)
        q: Array = torch.linalg.qr(torch.from_numpy(rows).T)[0].T.numpy()
        return q

    def eigenvectors(self, symmetric: Array) -> Array:
        vectors: Array = torch.linalg.eigh(torch.from_numpy(symmetric))[1].numpy()
        return vectors

    def view(self, array: Array) -> Array:
        owned: Array = torch.from_numpy(array).numpy()
        return owned


def by_torch(params: object) -> ByTorch:
    """Who multiplies, whatever these parameters are."""
    return ByTorch()
