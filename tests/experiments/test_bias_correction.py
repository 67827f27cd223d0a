"""What Adam's correction does, and what it does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.experiments.programs import assert_light_svg, program, say

bias_correction = program("bias_correction", "sklearn", "tqdm")


@pytest.fixture(scope="module")
def losses() -> Any:
    return bias_correction.find()


def test_uncorrected_adam_is_adam_without_correction() -> None:
    rng = np.random.default_rng(0)
    gradients = rng.normal(size=(200, 5))
    w, m, v = np.ones(5), np.zeros(5), np.zeros(5)
    trained = np.ones(5)
    opt = bias_correction.adam([trained], 0.01, "uncorrected")
    for g in gradients:
        opt.step([g])
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g * g
        w = w - 0.01 * m / (np.sqrt(v) + 1e-8)
    np.testing.assert_allclose(trained, w, rtol=1e-6)


def test_how_much_too_long_steps_are() -> None:
    times = bias_correction.too_long(np.arange(3000))
    assert round(times[0], 1) == 3.2
    assert (times.argmax() + 1, round(times.max(), 1)) == (12, 6.6)
    assert round(times[999], 2) == 1.26


def test_a_good_lr_is_too_large_without_correction(losses: Any) -> None:
    first, most, last = bias_correction.milestones(losses[0.03, "uncorrected"])
    _, most_corrected, last_corrected = bias_correction.milestones(losses[0.03, "corrected"])
    assert (most > 2 * first).all()
    assert (most_corrected < 1.2 * first).all()
    assert np.median(last) > 1.5 * np.median(last_corrected)


def test_a_small_lr_is_better_without_correction(losses: Any) -> None:
    *_, last = bias_correction.milestones(losses[0.003, "uncorrected"])
    *_, last_corrected = bias_correction.milestones(losses[0.003, "corrected"])
    assert (last < 0.6 * last_corrected).all()


def test_the_picture(
    losses: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bias_correction, "find", lambda: losses)
    path = tmp_path / "bias_correction.svg"
    assert len(say(bias_correction, monkeypatch, capsys, "--plot", path).splitlines()) == 4
    assert_light_svg(path)
    assert ">Digits, lr = 0.003<" in path.read_text("utf-8")
