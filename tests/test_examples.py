"""The examples run as a user would run them, and do what they say."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import gradstep as gs
from tests.helpers import assert_same_bits

ROOT = Path(__file__).parents[1]
PNG = b"\x89PNG\r\n\x1a\n"


def example(name: str, *needs: str) -> Any:
    """The module of an example; the test is skipped where what it needs is not installed."""
    for module in needs:
        pytest.importorskip(module, reason=f"{module} is not installed")
    return importlib.import_module(f"examples.{name}")


def run(name: str, *arguments: str | Path) -> str:
    command = [sys.executable, ROOT / "examples" / f"{name}.py", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_schedules_draws_a_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    picture = tmp_path / "schedules.png"
    run("schedules", "--out", picture)
    assert picture.read_bytes().startswith(PNG)


def test_schedules_pictures_every_factory(monkeypatch: pytest.MonkeyPatch) -> None:
    schedules = example("schedules", "matplotlib")
    assert set(schedules.PICTURED) == set(gs.schedules.__all__) - {"Schedule"}
    for name, schedule in schedules.PICTURED.items():
        assert repr(schedule).startswith(f"{name}(")
    assert len(schedules.pictured()) == len(gs.schedules.__all__) - 1

    monkeypatch.setattr(gs.schedules, "__all__", [*gs.schedules.__all__, "new_one"])
    with pytest.raises(LookupError, match="schedules without a picture: new_one; add them"):
        schedules.pictured()


DIGITS = ("sklearn", "tqdm")


def test_digits_learns_alike_on_every_backend(tmp_path: Path) -> None:
    for module in (*DIGITS, "matplotlib"):
        pytest.importorskip(module, reason=f"{module} is not installed")
    picture = tmp_path / "digits.png"
    correct = re.findall(r"test accuracy ([\d.]+)%", run("digits", "--plot", picture))
    assert len(correct) == len(gs.runtime.available_backends())
    assert len(set(correct)) == 1
    assert float(correct[0]) >= 97.0
    assert picture.read_bytes().startswith(PNG)


@pytest.mark.usefixtures("backend")
def test_digits_resumed_is_digits_uninterrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digits = example("digits", *DIGITS, "safetensors")
    training, validation, _ = digits.load_data()
    expected, whole = digits.train(training, validation, epochs=6)

    checkpoint = tmp_path / "digits.safetensors"
    save = gs.save

    def save_and_stop(*args: Any, **objects: Any) -> None:
        save(*args, **objects)
        if args[1].steps * 2 >= len(whole.steps):
            raise KeyboardInterrupt

    monkeypatch.setattr(gs, "save", save_and_stop)
    with pytest.raises(KeyboardInterrupt):
        digits.train(training, validation, epochs=6, checkpoint=checkpoint)
    monkeypatch.undo()
    resumed, rest = digits.train(training, validation, epochs=6, checkpoint=checkpoint)
    assert rest.steps == whole.steps[len(whole.steps) // 2 :]
    assert rest.validations == whole.validations[3:]
    assert_same_bits(resumed, expected)

    again, nothing = digits.train(training, validation, epochs=6, checkpoint=checkpoint)
    assert nothing.steps == []
    assert_same_bits(again, expected)


TORCH_CPU = ("torch", "tqdm")


def test_torch_cpu_learns_alike_with_both_optimizers(tmp_path: Path) -> None:
    for module in (*TORCH_CPU, "matplotlib"):
        pytest.importorskip(module, reason=f"{module} is not installed")
    picture = tmp_path / "torch_cpu.png"
    said = run("torch_cpu", "--steps", "12", "--plot", picture)
    line = r"^ *(.+): loss ([\d.]+), [\d.]+ ms per step, optimizer [\d.]+ ms, [\d.]+%$"
    losses = dict(re.findall(line, said, re.MULTILINE))
    assert list(losses) == ["torch fused", "gradstep"]
    assert max(map(float, losses.values())) < 4.5  # 5.0 before the first step
    assert picture.read_bytes().startswith(PNG)


def test_torch_cpu_notices_another_optimizer(monkeypatch: pytest.MonkeyPatch) -> None:
    torch_cpu = example("torch_cpu", *TORCH_CPU)
    monkeypatch.setattr(torch_cpu, "AdamW", partial(torch_cpu.AdamW, betas=(0.8, 0.999)))
    with pytest.raises(AssertionError, match=r"at step \d+ the losses are"):
        torch_cpu.furthest_apart(torch_cpu.train(12))
