"""The bases that SOAP rotates into: eigenvectors of the averages of G·Gᵀ and Gᵀ·G."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.directions.householder import orthonormal

Array = NDArray[Any]


def is_set(basis: Array) -> bool:
    """Whether it has been computed: until then it is zero."""
    return bool(basis.size) and bool(np.any(basis[:, 0]))


def eigenbasis(factor: Array) -> Array:
    """Orthonormal eigenvectors, those of the largest eigenvalues first."""
    _, vectors = np.linalg.eigh(factor)
    return np.ascontiguousarray(vectors[:, ::-1])


def iterated(factor: Array, basis: Array) -> Array:
    """The next basis by one power iteration: factor·basis, made orthonormal.

    Vectors keep their places, so that what is kept of each stays where it is; the largest are made
    orthogonal to first.
    """
    vectors = basis.T @ factor  # as rows, which are moved whole
    sizes = np.einsum("ji,ij->j", vectors, basis)
    largest_first = np.argsort(-sizes, kind="stable")
    following = np.empty_like(basis)
    following.T[largest_first] = orthonormal(vectors[largest_first])
    return following


def rotate(matrix: Array, left: Array, right: Array, out: Array, between: Array) -> None:
    """out ← leftᵀ·matrix·right; a basis that is not set leaves its side as it is.

    `between` is memory like that of `matrix`.
    """
    if is_set(right):
        matrix = np.matmul(matrix, right, out=between)
    if is_set(left):
        np.matmul(left.T, matrix, out=out)
    else:
        np.copyto(out, matrix)
