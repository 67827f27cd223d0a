"""How long steps are under a constant gradient."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.experiments.programs import assert_light_svg, program, say

adagrad_fades = program("adagrad_fades")
t = np.arange(1, 1001)


@pytest.mark.parametrize("gradient", [1.0, -50.0])
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("AdaGrad", 0.1 / np.sqrt(t)),
        ("RMSprop", 0.1 / np.sqrt(1 - 0.99**t)),
        ("Adam", np.full(1000, 0.1)),
    ],
)
def test_the_steps(name: str, expected: np.ndarray, gradient: float) -> None:
    # What is subtracted from w is rounded where w has got to, and eps is 1e-8.
    taken = adagrad_fades.steps_taken(name, gradient)
    np.testing.assert_allclose(taken, expected, rtol=1e-6, atol=1e-10)


def test_the_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "adagrad_fades.svg"
    said = say(adagrad_fades, monkeypatch, capsys, "--plot", path)
    assert "AdaGrad    0.1000   0.0316   0.0100   0.0032" in said
    assert_light_svg(path)
