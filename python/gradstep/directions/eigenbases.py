"""The bases that SOAP rotates into: eigenvectors of the averages of G·Gᵀ and Gᵀ·G."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def is_set(basis: Array) -> bool:
    """Whether it has been computed: until then it is zero."""
    return bool(basis.size) and bool(np.any(basis[:, 0]))


def eigenbasis(factor: Array) -> Array:
    """Orthonormal eigenvectors, those of the largest eigenvalues first."""
    _, vectors = np.linalg.eigh(factor)
    return np.ascontiguousarray(vectors[:, ::-1])


def iterated(product: Array, basis: Array) -> Array:
    """The next basis by one power iteration, whose `product` is factor·basis, made orthonormal.

    Vectors keep their places, so that what is kept of each stays where it is; the largest are made
    orthogonal to first.
    """
    sizes = np.einsum("ij,ij->j", basis, product)
    largest_first = np.argsort(-sizes, kind="stable")
    columns = product.T  # as rows, which are moved whole
    orthonormal, _ = np.linalg.qr(columns[largest_first].T)
    following = np.empty_like(basis)
    following.T[largest_first] = orthonormal.T
    return following


def rotated(
    matrices: Array, left: Array, right: Array, out: Sequence[Array], between: Array
) -> None:
    """Each out ← leftᵀ·matrix·right; a basis that is not set leaves its side as it is.

    `between` is memory like that of the matrices, which lie one after another, row by row.
    """
    if is_set(right):
        columns = matrices.shape[-1]
        np.matmul(matrices.reshape(-1, columns), right, out=between.reshape(-1, columns))
        matrices = between
    for matrix, to in zip(matrices, out, strict=True):
        if is_set(left):
            np.matmul(left.T, matrix, out=to)
        else:
            np.copyto(to, matrix)
