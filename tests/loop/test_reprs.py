"""What is inside, at a glance; and what completion and help show."""

from __future__ import annotations

import pydoc

import numpy as np
import pytest

import gradstep as gs


def test_reprs_say_what_is_inside() -> None:
    params = {"w": np.zeros((2, 3)), "b": np.zeros(3)}
    assert repr(gs.LossScaler(4.0)) == (
        "LossScaler(scale=4.0, good_steps=0 of 2000, growth_factor=2.0, backoff_factor=0.5)"
    )
    stopping = gs.EarlyStopping(patience=2)
    text = "EarlyStopping(patience=2, min_delta=0.0, mode='min'; best={}, bad={}, {} kept)"
    assert repr(stopping) == text.format("inf", 0, "nothing")
    stopping.update(0.5, params)
    stopping.update(0.6, params)
    assert repr(stopping) == text.format(0.5, 1, "2 tensors")
    total = gs.GradientSum()
    assert repr(total) == "GradientSum(0 added; 0 tensors, 0 elements)"
    total.add(params)
    assert repr(total) == "GradientSum(1 added; 2 tensors, 9 elements)"


def test_grouped_optimizers_say_what_differs() -> None:
    params = {f"layer{i}": {"w": np.zeros((2, 3)), "b": np.zeros(3)} for i in range(4)}
    opt = gs.SGD(params, lr=0.1, clip_norm=1.0, groups=[("b", {"lr": 0.2, "l1": 0.5})])
    text = repr(opt)
    assert text.startswith("SGD(momentum=0.0, dampening=0.0, nesterov=False, ")
    assert "clip_norm=1.0; groups[0]: " in text
    assert "; groups[0]: lr=0.2, l1=0.5 of layer0.b, layer1.b, layer2.b, … 4 in all; " in text
    assert text.endswith("; 8 tensors, 36 elements)")
    same = repr(gs.SGD([{"params": [np.zeros(1)]}, {"params": [np.zeros(2)]}], lr=0.1))
    assert "groups[0]: 0.0; groups[1]: 1.0; 2 tensors, 3 elements)" in same
    assert "lr=0.1" in same


def test_no_parameters_are_needed_where_none_are_kept() -> None:
    stopping = gs.EarlyStopping(patience=0, restore_best=False)
    assert [stopping.update(loss) for loss in (1.0, 0.5, 0.6)] == [False, False, True]
    keeping = gs.EarlyStopping()
    with pytest.raises(
        TypeError, match=r"update\(metric, params\); or make it with restore_best=F"
    ):
        keeping.update(1.0)
    assert keeping.best == np.inf


def test_completion_shows_what_users_need() -> None:
    assert set(dir(gs)) == set(gs.__all__)
    internal = {"rule", "plan", "penalties", "coefficients", "hyperparameters", "slots"}
    assert not internal & set(dir(gs.AdamW(np.zeros(1))))


def test_help_says_what_each_option_takes() -> None:
    text = pydoc.plain(pydoc.render_doc(gs.AdamW))
    assert "lr = <float or schedule, ≥ 0; default 0.001>" in text
    assert "object at 0x" not in text
