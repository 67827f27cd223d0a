"""Who leads the race, with every seed, at every look; and the gradients that they race with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.experiments.programs import assert_light_svg, program, say

race = program("race")


@pytest.mark.parametrize("seed", range(5))
def test_adam_leads_momentum_leads_sgd(seed: int) -> None:
    losses = {name: race.train(name, seed)[0] for name in ("Adam", "momentum", "SGD")}
    for look in (500, 1_000, 2_000, 5_000, 10_000):
        adam, momentum, sgd = (of_one[look] for of_one in losses.values())
        assert adam < momentum < sgd
    assert losses["Adam"][10_000] > 1.5 * 0.03**2  # the noise, where it would come to rest


def test_the_gradients_are_those_of_the_loss() -> None:
    rng = np.random.default_rng(0)
    params = {name: array.astype(np.float64) for name, array in race.init_params(rng).items()}
    x, y = rng.uniform(-3, 3, (2, 8, 1))
    _, grads = race.loss_and_grads(params, x, y)
    for name, array in params.items():
        direction = rng.normal(size=array.shape)
        ahead, behind = (
            race.loss_and_grads({**params, name: array + step * direction}, x, y)[0]
            for step in (1e-6, -1e-6)
        )
        expected = (ahead - behind) / 2e-6
        np.testing.assert_allclose(np.vdot(grads[name], direction), expected, rtol=1e-5, atol=1e-7)


def test_the_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    train, path = race.train, tmp_path / "race.svg"

    def briefly(name: str, seed: int) -> Any:
        losses, fits = train(name, seed, looks=(100, 200))
        return (
            {look: losses[min(look, 200)] for look in race.LOOKS},
            dict.fromkeys(race.LOOKS, fits[200]),
        )

    monkeypatch.setattr(race, "train", briefly)
    said = say(race, monkeypatch, capsys, "--plot", path)
    assert [line.split()[0] for line in said.splitlines()] == ["loss", "SGD", "momentum", "Adam"]
    assert_light_svg(path)
