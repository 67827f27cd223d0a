"""The tables of names in docs/coming-from.md: both sides are there, and schedules are the same."""

from __future__ import annotations

import importlib
import inspect
import re
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradstep as gs

TEXT = (Path(__file__).parents[1] / "docs" / "coming-from.md").read_text("utf-8")
TABLES: dict[str, list[tuple[list[str], list[str]]]] = {}
for table in re.findall(r"(?:^\|.*\n)+", TEXT, re.MULTILINE):
    title, _, *rows = [line.strip("| ").split(" | ") for line in table.splitlines()]
    TABLES[title[0]] = [
        (re.findall("`([^`]+)`", theirs), re.findall("`([^`]+)`", ours)) for theirs, ours in rows
    ]
ROWS = [(title, *row) for title, rows in TABLES.items() for row in rows]
OPTIONS = {
    option
    for name in gs.__all__
    if inspect.isclass(cls := getattr(gs, name)) and issubclass(cls, gs.Optimizer)
    for option in inspect.signature(cls).parameters
}
NUMBERS = {"lr": 0.1, "v": 0.1, "n": 50, "w": 10, "r": 0.5, "p": 2.0, "a": 0.1, "b": 0.01}


def names() -> dict[str, Any]:
    """What the expressions of our side may use."""
    params = [np.ones((2, 2))]
    ours = {name: getattr(gs, name) for name in gs.__all__}
    ours |= {name: getattr(gs.schedules, name) for name in gs.schedules.__all__}
    ours |= {"gs": gs, "params": params, "opt": gs.SGD(np.ones(2)), "f": lambda step: 1.0}
    ours["loss_and_grads"] = lambda x: (float((x[0] ** 2).sum()), [2 * x[0]])
    return {**ours, **NUMBERS}


@pytest.mark.parametrize(("title", "theirs", "ours"), ROWS)
def test_our_names_are_there(title: str, theirs: list[str], ours: list[str]) -> None:
    for code in ours:
        option, _, value = code.partition("=")
        if option in OPTIONS and code.count("(") == value.count("("):
            continue
        if code.startswith("opt."):
            assert hasattr(gs.SGD, re.findall(r"\w+", code)[1])
        elif code not in {"*", "None"}:
            exec(code, names())


@pytest.mark.parametrize(
    ("title", "module"),
    [
        ("torch.optim", "torch.optim"),
        ("torch.optim.lr_scheduler", "torch.optim.lr_scheduler"),
        ("optax", "optax"),
        ("optax schedule", "optax"),
    ],
)
def test_their_names_are_there(title: str, module: str) -> None:
    pytest.importorskip(module.partition(".")[0], reason="the library is not installed")
    home = importlib.import_module(module)
    name = re.compile(r"[A-Z]\w+" if "torch" in module else r"(contrib\.)?[a-zA-Z]\w{2,}")
    words = {code.partition("(")[0] for theirs, _ in TABLES[title] for code in theirs}
    words -= {"learning_rate", "decay", "AveragedModel"}  # arguments, and what lives elsewhere
    found = list(filter(name.fullmatch, words))
    for word in found:
        attrgetter(word)(home)
    assert len(found) >= 8


def both(title: str) -> list[tuple[str, str]]:
    """Rows where a call stands beside a call."""
    return [
        (theirs[0], ours[-1])
        for theirs, ours in TABLES[title]
        if len(theirs) == 1 and "(" in theirs[0] and "(" in ours[-1] and "lambda" not in ours[-1]
    ]


@pytest.mark.parametrize(("theirs", "ours"), both("optax schedule"))
def test_schedules_are_optaxs(theirs: str, ours: str) -> None:
    optax = pytest.importorskip("optax", reason="optax is not installed")
    expected = eval(theirs, {**vars(optax), **NUMBERS})
    schedule = eval(ours, names())
    for step in range(70):
        assert schedule(step) == pytest.approx(float(expected(step)), rel=1e-5, abs=1e-7)


@pytest.mark.parametrize(("theirs", "ours"), both("torch.optim.lr_scheduler"))
def test_schedules_are_pytorchs(theirs: str, ours: str) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    opt = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0)
    scheduler = eval(theirs, {**vars(torch.optim.lr_scheduler), "opt": opt})
    schedule = eval(ours, names())
    for step in range(100):
        assert schedule(step) == pytest.approx(scheduler.get_last_lr()[0], rel=1e-9, abs=1e-12)
        opt.step()
        scheduler.step()


def test_there_are_rows_to_compare() -> None:
    assert len(both("optax schedule")) >= 6
    assert len(both("torch.optim.lr_scheduler")) >= 6
