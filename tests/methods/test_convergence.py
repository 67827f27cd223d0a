"""What a user sees: each optimizer, at stated settings, solves three problems."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradstep as gs
from tests.convergence import PROBLEMS, SETTINGS, digits, reached
from tests.specs import SPECS
from tests.specs_of_matrices import MATRIX_SPECS

CLASSES = [spec.cls for spec in (*SPECS, *MATRIX_SPECS)]


@pytest.mark.usefixtures("native")
@pytest.mark.parametrize("problem", range(len(PROBLEMS)), ids=[p[0] for p in PROBLEMS])
@pytest.mark.parametrize("cls", CLASSES, ids=[cls.__name__ for cls in CLASSES])
def test_reaches_the_stated_loss(cls: type[gs.Optimizer], problem: int) -> None:
    if PROBLEMS[problem][0] == "digits":
        pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    options, lrs = SETTINGS[cls]
    assert reached(cls, problem, options, lrs[problem]) <= PROBLEMS[problem][-1]


def sparse_logistic(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """2,000 examples of 200 features that are mostly 0, of which 10 matter."""
    x = rng.normal(size=(2000, 200)) * (rng.random((2000, 200)) < 0.1)
    truth = np.zeros(200)
    truth[:10] = rng.choice([-3.0, 3.0], 10)
    y = (rng.random(2000) < 1 / (1 + np.exp(-x @ truth))).astype(float)
    return x, y


def test_ftrl_with_l1_gives_exact_zeros(record_property: Any) -> None:
    """One example at a time; the penalty leaves what matters, and half of the rest."""
    x, y = sparse_logistic(np.random.default_rng(0))
    zeros = {}
    for l1 in (0.0, 8.0):
        w = np.zeros(200)
        opt = gs.FTRL(w, lr=0.5, l1=l1)
        for _ in range(2):
            for row, label in zip(x, y, strict=True):
                opt.step((1 / (1 + np.exp(-row @ w)) - label) * row)
        zeros[l1] = int(np.sum(w == 0.0))
        assert np.all(w[:10] != 0.0)
    print(f"exact zeros of 200 weights: {zeros[0.0]} without l1, {zeros[8.0]} with l1 = 8")
    record_property("exact zeros of 200, by l1", zeros)
    assert zeros[0.0] == 0
    assert zeros[8.0] >= 100


def test_the_digits_are_there() -> None:
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    images, labels = digits()
    assert images.shape == (1797, 64)
    assert set(labels) == set(range(10))
