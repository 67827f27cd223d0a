"""Three learning rates on both sides of a bound that is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.experiments.programs import assert_light_svg, program, say

learning_rates = program("learning_rates")


@pytest.mark.parametrize("lr", [0.0005, 0.1, 0.13])
def test_each_coordinate_is_multiplied_in_each_step(lr: float) -> None:
    factors = 1 - lr * np.array([2.0, 16.0])
    expected = factors ** np.arange(101)[:, None]
    np.testing.assert_allclose(learning_rates.descend(lr), expected, rtol=1e-10)


def test_too_low_right_and_too_high() -> None:
    assert list(learning_rates.RATES.values()) == [0.0005, 0.1, 0.13]
    low, right, high = map(learning_rates.descend, learning_rates.RATES.values())
    assert round(learning_rates.loss(low[-1]), 1) == 2.4
    assert low[-1, 0] > low[-1, 1] > 0.4
    assert learning_rates.loss(right[-1]) < 1e-19
    assert abs(high[-1, 1]) > 2_000
    assert abs(high[-1, 0]) < 1e-12


def test_the_bound() -> None:
    below, above = (abs(learning_rates.descend(lr, 10_000)[-1, 1]) for lr in (0.12499, 0.12501))
    assert below < 1 < above


def test_the_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "learning_rates.svg"
    said = say(learning_rates, monkeypatch, capsys, "--plot", path)
    assert "lr = 0.13, too high: loss 3.9e+07 after 100 steps" in said
    assert_light_svg(path)
