"""Sharpness grows with the batch, accuracy does not; and the Hessian is the loss's."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.experiments.programs import assert_light_svg, program, say

batch_size = program("batch_size", "sklearn", "tqdm", "scipy")
SEEDS = 5 if "GRADSTEP_FULL" in os.environ else 2


@pytest.fixture(scope="module")
def found() -> Any:
    return batch_size.find(SEEDS)


def test_the_hessian_is_that_of_the_loss() -> None:
    rng = np.random.default_rng(0)
    params = {name: array.astype(float) for name, array in batch_size.init_params(1).items()}
    x, y = rng.uniform(size=(20, 64)), rng.integers(10, size=20)
    direction = {name: rng.normal(size=array.shape) for name, array in params.items()}
    ahead, behind = (
        batch_size.loss_and_grads(
            {name: array + step * direction[name] for name, array in params.items()}, x, y
        )[1]
        for step in (1e-7, -1e-7)
    )
    changes = batch_size.hessian_times(params, direction, x, y)
    for name, change in changes.items():
        expected = (ahead[name] - behind[name]) / 2e-7
        np.testing.assert_allclose(change, expected, rtol=1e-5, atol=1e-6)


def test_the_sharpness_is_the_largest_eigenvalue() -> None:
    rng = np.random.default_rng(0)
    params = {
        "W1": rng.normal(size=(3, 4)).astype(np.float32),
        "b1": np.zeros(4, np.float32),
        "W2": rng.normal(size=(4, 2)).astype(np.float32),
        "b2": np.zeros(2, np.float32),
    }
    data = rng.normal(size=(30, 3)).astype(np.float32), rng.integers(2, size=30)
    zeros = np.zeros(sum(array.size for array in params.values()))
    columns = []
    for i in range(zeros.size):
        unit = zeros.copy()
        unit[i] = 1.0
        parts = np.split(unit, np.cumsum([array.size for array in params.values()])[:-1])
        direction = {
            name: part.reshape(params[name].shape) for name, part in zip(params, parts, strict=True)
        }
        changes = batch_size.hessian_times(params, direction, *data)
        columns.append(np.concatenate([changes[name].ravel() for name in params]))
    hessian = np.array(columns)
    np.testing.assert_allclose(hessian, hessian.T, atol=1e-6)
    largest = np.linalg.eigvalsh(hessian)[-1]
    np.testing.assert_allclose(batch_size.sharpness(params, data), largest, rtol=1e-2)


def test_sharpness_grows_with_the_batch_with_every_seed(found: Any) -> None:
    sharp = np.array([found[batch][0] for batch in (4, 16, 64, 256)])
    assert sharp.shape == (4, SEEDS)
    assert (np.diff(sharp, axis=0) > 0).all()


def test_generalisation_does_not_visibly_differ(found: Any) -> None:
    correct = np.array([rows[1] for rows in found.values()])
    assert correct.min() > 0.95
    assert np.ptp(correct.mean(axis=1)) < 0.015


def test_the_picture(
    found: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(batch_size, "find", lambda: found)
    path = tmp_path / "batch_size.svg"
    assert "batch 256: sharpness 1." in say(batch_size, monkeypatch, capsys, "--plot", path)
    assert_light_svg(path)


def test_a_loss_out_of_reach_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_size, "MOST_STEPS", 40)
    data, _, _ = batch_size.load_data()
    with pytest.raises(RuntimeError, match=r"the loss is not below 0\.02 after 40 steps"):
        batch_size.train(64, 0, data)
