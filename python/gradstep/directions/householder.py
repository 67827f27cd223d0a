"""The orthonormal factor of a QR decomposition, by Householder's reflections in blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

PANEL = 96  # reflections that go over a matrix together
LEAST = 24  # that LAPACK is asked for


def orthonormal(rows: Array) -> Array:
    """Qᵀ of the QR decomposition of a square matrix, whose columns are given as rows.

    Reflections are LAPACK's, found in float64. All else are products in the dtype of `rows`.
    Golub & Van Loan, "Matrix Computations", 2013, §5.2.3; Elmroth & Gustavson 2000,
    doi:10.1147/rd.444.0605.

    >>> orthonormal(np.array([[-3.0, -4.0], [4.0, -3.0]])).round(3)
    array([[-0.6, -0.8],
           [-0.8,  0.6]])
    """
    rest, panels = rows.copy(), []
    for start in range(0, len(rows), PANEL):
        v, t = reflections(rest[start : start + PANEL, start:])
        reflect(rest[start + PANEL :, start:], v, t)
        panels.append((start, v, t))
    q = np.eye(len(rows), dtype=rows.dtype)
    for start, v, t in reversed(panels):
        reflect(q[start:, start:], v, t.T)
    return q


def reflect(rows: Array, v: Array, t: Array) -> None:
    """rows ← rows·(I − vᵀ·t·v)."""
    rows -= ((rows @ v.T) @ t) @ v


def reflections(rows: Array) -> tuple[Array, Array]:
    """v and t, for which rows·(I − vᵀ·t·v) is lower triangular; `rows` is overwritten.

    `v` has a reflection in each row, `t` is upper triangular.
    """
    if len(rows) <= LEAST:
        return reflections_by_lapack(rows)
    half = len(rows) // 2
    first, rest = rows[:half], rows[half:]
    v, t = np.zeros_like(rows), np.zeros((len(rows),) * 2, rows.dtype)
    v[:half], t[:half, :half] = reflections(first)
    reflect(rest, v[:half], t[:half, :half])
    v[half:, half:], t[half:, half:] = reflections(rest[:, half:])
    t[:half, half:] = -t[:half, :half] @ (v[:half] @ v[half:].T) @ t[half:, half:]
    return v, t


def reflections_by_lapack(rows: Array) -> tuple[Array, Array]:
    v, tau = np.linalg.qr(rows.T, mode="raw")
    none = tau == 0  # where a column is zero already
    head = v[:, : len(v)]
    head[...] = np.triu(head)
    np.fill_diagonal(head, ~none)
    v[none] = 0
    inverse = np.triu(v @ v.T, 1)
    np.fill_diagonal(inverse, 1 / np.where(none, 1, tau))
    return v, np.linalg.inv(inverse)
