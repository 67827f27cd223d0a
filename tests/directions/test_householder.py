"""Householder's reflections in blocks against NumPy's QR decomposition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradstep.directions.householder import LEAST, PANEL, orthonormal

SIZES = (0, 1, 2, LEAST, LEAST + 1, PANEL, PANEL + 1, 2 * PANEL + 5)
DTYPES = {"float32": 2e-6, "float64": 1e-14}


def matrices(n: int, dtype: str) -> dict[str, Any]:
    rng = np.random.default_rng(n)
    plain = rng.normal(size=(n, n)).astype(dtype)
    return {
        "plain": plain,
        "graded": plain * np.logspace(0, -25, n, dtype=dtype)[:, np.newaxis],
        "diagonal": np.diag(np.diag(plain)),
        "zero": np.zeros_like(plain),
        "half of the rank": plain[:, : n // 2] @ plain[: n // 2],
        "zeros among it": plain * np.arange(n)[:, np.newaxis] % 3,
    }


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", SIZES)
def test_it_is_orthonormal_and_that_of_numpy(n: int, dtype: str) -> None:
    for name, rows in matrices(n, dtype).items():
        before = rows.copy()
        q = orthonormal(rows)
        np.testing.assert_array_equal(rows, before)
        assert q.dtype == rows.dtype
        np.testing.assert_allclose(q @ q.T, np.eye(n), atol=DTYPES[dtype], err_msg=name)
        if name not in ("half of the rank", "zeros among it"):  # of which Q is anyone's choice
            expected = np.linalg.qr(rows.T)[0].T
            np.testing.assert_allclose(q, expected, atol=10 * DTYPES[dtype], err_msg=name)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_no_error(value: float) -> None:
    for n in (3, PANEL + 7):
        rows = np.random.default_rng(0).normal(size=(n, n))
        rows[n // 2, 1] = value
        assert not np.isfinite(orthonormal(rows)).all()
