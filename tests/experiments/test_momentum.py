"""What momentum is said to be good for, and not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.experiments.programs import assert_light_svg, program, say

momentum = program("momentum")


@pytest.fixture(scope="module")
def found() -> Any:
    return momentum.find()


def best(steps: list[int]) -> tuple[int, float]:
    return min(zip(steps, momentum.MOMENTA, strict=True))


def test_the_narrower_the_ravine_the_more_momentum_helps(found: Any) -> None:
    needed, _ = found
    wide, narrow = needed[8, "momentum"], needed[100, "momentum"]
    assert best(wide)[1] < best(narrow)[1]
    assert 2 < wide[0] / best(wide)[0] < 3
    assert narrow[0] / best(narrow)[0] > 5
    for steps in needed.values():  # the best is neither none nor all
        assert best(steps)[0] < min(steps[0], steps[-1])


@pytest.mark.parametrize("narrow", [8, 100])
def test_the_gradient_ahead_forgives_too_much_momentum(found: Any, narrow: int) -> None:
    needed, _ = found
    plain, ahead = needed[narrow, "momentum"], needed[narrow, "Nesterov"]
    assert best(ahead)[0] < best(plain)[0]
    for mu, steps, fewer in zip(momentum.MOMENTA, plain, ahead, strict=True):
        if mu <= 0.5:
            assert steps <= fewer <= steps + 2
        if mu >= 0.9:
            assert steps / fewer > 1.7


def test_momentum_leaves_a_valley_that_sgd_does_not(found: Any) -> None:
    def rests(form: str, mu: float) -> float:
        return float(momentum.roll(form, mu, [4.0])[-1, 0])

    lowest = np.linspace(-6, 6, 100_001)[momentum.hills(np.linspace(-6, 6, 100_001)).argmin()]
    assert abs(momentum.LOWEST - lowest) < 1e-3
    assert abs(rests("momentum", 0.9) - lowest) < 1e-3
    assert rests("momentum", 0.0) > 2
    assert abs(rests("Nesterov", 0.9) - rests("momentum", 0.0)) < 1e-3

    _, ends = found
    shares = momentum.shares(ends)
    assert shares["momentum 0.9"][0] > shares["SGD"][0] + 0.1
    assert shares["momentum 0.9"][2] == 0.0
    np.testing.assert_allclose(ends["Nesterov 0.9"], ends["SGD"], atol=1e-3)


def test_sgd_stays_in_its_valley() -> None:
    path = momentum.roll("momentum", 0.0, momentum.STARTS)
    # Its steps are too short to pass the minimum of a valley: the slope keeps its sign.
    slope = 0.2 * path + 2 * np.cos(2 * path)
    assert (slope[1:] * np.sign(slope[0]) > -1e-12).all()
    assert np.all(np.diff(momentum.hills(path), axis=0) <= 1e-12)


def test_the_picture(
    tmp_path: Path,
    found: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(momentum, "find", lambda: found)
    said = say(momentum, monkeypatch, capsys, "--plot", tmp_path / "momentum.svg")
    assert "momentum 0.9: 39% of starts end in the lowest valley" in said
    assert_light_svg(tmp_path / "momentum.svg")
