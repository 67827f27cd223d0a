"""ReduceLROnPlateau against PyTorch's."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from gradstep import schedules as s


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("threshold_mode", ["rel", "abs"])
def test_plateau_equals_torch(mode: Any, threshold_mode: Any) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    options: dict[str, Any] = {
        "mode": mode,
        "factor": 0.5,
        "patience": 2,
        "threshold": 0.01,
        "threshold_mode": threshold_mode,
        "cooldown": 3,
    }
    opt = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(opt, min_lr=0.01, **options)
    ours = s.ReduceLROnPlateau(1.0, min_value=0.01, **options)
    rng = np.random.default_rng(0)
    for step in range(300):
        metric = float(np.exp(-step / 50) + 0.05 * rng.normal()) * (1 if mode == "min" else -1)
        if step == 100:
            resumed = s.ReduceLROnPlateau(1.0, min_value=0.01, **options)
            resumed.load_state_dict(ours.state_dict())
            ours = resumed
        ours.update(metric)
        theirs.step(metric)
        assert ours(step) == opt.param_groups[0]["lr"]


def test_plateau_never_raises_its_value() -> None:
    lr = s.ReduceLROnPlateau(1.0, patience=0, min_value=0.5)
    lr.load_state_dict({"value": 0.1, "best": 0.0, "bad": 0, "cooling": 0})
    lr.update(1.0)
    assert lr(0) == 0.1


def test_plateau_takes_the_first_metric_whatever_the_threshold() -> None:
    lr = s.ReduceLROnPlateau(1.0, threshold=1.0)
    lr.update(5.0)
    assert lr.best == 5.0


def test_plateau_drives_an_optimizer() -> None:
    lr = s.ReduceLROnPlateau(1.0, factor=0.5, patience=0)
    w = np.zeros(1)
    opt = gs.SGD(w, lr=lr)
    for metric in (1.0, 2.0):
        opt.step(np.ones(1))
        lr.update(metric)
    opt.step(np.ones(1))
    assert w[0] == -2.5


def test_a_metric_beyond_all_floats_is_infinite() -> None:
    plateau, stopping = gs.schedules.ReduceLROnPlateau(1.0), gs.EarlyStopping(patience=0)
    plateau.update(1.0)
    plateau.update(10**400)
    assert (plateau.best, plateau.bad) == (1.0, 1)
    assert not stopping.update(-(10**400), np.zeros(1))
    assert stopping.best == -math.inf
    assert stopping.update(1.0, np.zeros(1))
