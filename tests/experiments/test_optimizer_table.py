"""The table of optimizers in the documents is what the program says, as far as it is run here."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.experiments.programs import EXAMPLES, assert_light_svg, program, say

optimizer_table = program("optimizer_table", "sklearn", "tqdm")
PAGE = (EXAMPLES.parent / "docs" / "experiments.md").read_text("utf-8")
ROW = r"\| (.+) \| (\S+) \| (\d+) \| (\S+) \| (\S+)% ± (\S+)% \|"
PRINTED = {name: tuple(map(float, rest)) for name, *rest in re.findall(ROW, PAGE)}


@pytest.fixture(scope="module")
def found() -> Any:
    """What comes out at the printed learning rates, with all seeds."""
    data = optimizer_table.load_data()
    return {
        name: (lr, optimizer_table.results(name, lr, data)) for name, (lr, *_) in PRINTED.items()
    }


def test_every_optimizer_is_printed() -> None:
    assert list(PRINTED) == list(optimizer_table.OPTIMIZERS)
    assert {lr for lr, *_ in PRINTED.values()} <= set(optimizer_table.LRS)


def test_the_table_is_what_comes_out(found: Any) -> None:
    """Matrix products are rounded in their own way on each machine, which moves single images."""
    for name, (_, (needed, _, _, correct)) in found.items():
        _, steps, _, right, _ = PRINTED[name]
        assert abs(100 * correct.mean() - right) <= 0.5, name
        assert abs(np.median(needed) - steps) <= 0.3 * steps, name


def test_what_is_said_about_the_table(found: Any) -> None:
    steps = {name: np.median(result[0]) for name, (_, result) in found.items()}
    loss = {name: result[2].mean() for name, (_, result) in found.items()}
    right = {name: result[3].mean() for name, (_, result) in found.items()}
    assert steps["Adam"] < steps["SGD"] < 2 * steps["Adam"]
    for name in ("momentum 0.9", "Nesterov 0.9", "AdaGrad"):
        assert steps[name] <= steps["Adam"] + 5
    assert loss["Lion"] > loss["AdaGrad"] > max(loss["SGD"], 2 * loss["Adam"])
    assert right["AdaGrad"] > right["Adam"] - 0.005
    rest = [share for name, share in right.items() if name != "Lion"]
    assert np.ptp(rest) < 0.012
    assert steps["Lion"] == max(steps.values())


# To look for the best takes long: of three optimizers, and of all when there is time.
LOOKED_FOR = list(PRINTED) if "GRADSTEP_FULL" in os.environ else ["SGD", "AdaGrad", "Adam"]


@pytest.mark.parametrize("name", LOOKED_FOR)
def test_the_best_lr_is_better_than_its_neighbours(found: Any, name: str) -> None:
    data, lrs = optimizer_table.load_data(), optimizer_table.LRS
    best, (_, losses, *_) = found[name]
    place = lrs.index(best)
    assert 0 < place < len(lrs) - 1
    for lr in (lrs[place - 1], lrs[place + 1]):
        _, others, *_ = optimizer_table.results(name, lr, data)
        assert losses.mean() < 1.1 * others.mean()


def test_an_lr_that_is_too_large_is_infinitely_bad() -> None:
    needed, validation, training, correct = optimizer_table.results(
        "SGD", 1e30, optimizer_table.load_data(), seeds=1
    )
    assert np.isinf([needed, validation, training]).all()
    assert correct < 0.2


def test_the_picture(
    found: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(optimizer_table, "find", lambda: found)
    path = tmp_path / "optimizer_table.svg"
    said = say(optimizer_table, monkeypatch, capsys, "--plot", path)
    assert len(re.findall(ROW, said)) == len(PRINTED)
    assert_light_svg(path)
