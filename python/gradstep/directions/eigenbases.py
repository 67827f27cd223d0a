"""The bases that SOAP rotates into: eigenvectors of the averages of G·Gᵀ and Gᵀ·G."""

from __future__ import annotations

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
    orthonormal, _ = np.linalg.qr(product[:, largest_first])
    following = np.empty_like(basis)
    following[:, largest_first] = orthonormal
    return following


def rotated(matrix: Array, left: Array, right: Array, out: Array, between: Array) -> None:
    """out ← leftᵀ·matrix·right; a basis that is not set leaves its side as it is.

    `between` is memory for a matrix of the same shape; `out` may be `matrix`.
    """
    sides = [(basis, side) for basis, side in ((left, 0), (right, 1)) if is_set(basis)]
    for basis, side in sides:
        if side == 0:
            np.matmul(basis.T, matrix, out=between)
        else:
            np.matmul(matrix, basis, out=between)
        np.copyto(out, between)
        matrix = out
    if not sides and out is not matrix:
        np.copyto(out, matrix)
