"""The bases that SOAP rotates into: eigenvectors of the averages of G·Gᵀ and Gᵀ·G."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.directions.products import Products

Array = NDArray[Any]


def is_set(basis: Array) -> bool:
    """Whether it has been computed: until then it is zero."""
    return bool(basis.size) and bool(np.any(basis[:, 0]))


def eigenbasis(factor: Array, products: Products) -> Array:
    """Orthonormal eigenvectors, those of the largest eigenvalues first."""
    return np.ascontiguousarray(products.eigenvectors(factor)[:, ::-1])


def iterated(factor: Array, basis: Array, products: Products) -> Array:
    """The next basis by one power iteration: factor·basis, made orthonormal.

    Vectors keep their places, so that what is kept of each stays where it is; the largest are made
    orthogonal to first.
    """
    vectors = np.empty_like(factor)  # as rows, which are moved whole
    products.multiply(basis.T, factor, vectors)
    sizes = np.einsum("ji,ij->j", vectors, basis)
    largest_first = np.argsort(-sizes, kind="stable")
    following = np.empty_like(basis)
    following.T[largest_first] = products.orthonormal(vectors[largest_first])
    return following


def rotate(
    matrix: Array, left: Array, right: Array, out: Array, between: Array, products: Products
) -> None:
    """out ← leftᵀ·matrix·right; a basis that is not set leaves its side as it is.

    `between` is memory like that of `matrix`, which `out` may be.
    """
    if is_set(right):
        products.multiply(matrix, right, between)
    else:
        np.copyto(between, matrix)
    if is_set(left):
        products.multiply(left.T, between, out)
    else:
        np.copyto(out, between)
