"""Worked examples and closed forms: numbers that can be checked by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradstep as gs

pytestmark = pytest.mark.usefixtures("backend")

RAVINES = json.loads((Path(__file__).parents[1] / "data" / "ravine_trajectories.json").read_text())


def make_ravine_optimizer(case: dict[str, Any], w: np.ndarray) -> gs.Optimizer:
    lr, decay = case["lr"], case["decay"]
    if case["rule"] == "sgd":
        return gs.SGD(w, lr=lr)
    if case["rule"] == "momentum":
        return gs.SGD(w, lr=lr, momentum=decay, lr_in_velocity=True)
    return gs.RMSprop(w, lr=lr, alpha=decay, eps=1e-10)


@pytest.mark.parametrize(
    "case", RAVINES, ids=[f"{c['rule']}-{c['curvature']}-{c['decay']}" for c in RAVINES]
)
def test_ravine_trajectories(case: dict[str, Any]) -> None:
    """Gradient of w1² + c·w2², from the stated start, point by point."""
    w = np.array(case["start"])
    opt = make_ravine_optimizer(case, w)
    path = [w.copy()]
    for _ in range(len(case["path"]) - 1):
        opt.step(np.array([2.0 * w[0], 2.0 * case["curvature"] * w[1]]))
        path.append(w.copy())
    np.testing.assert_allclose(path, case["path"], rtol=1e-12)


@pytest.mark.parametrize("lr_in_velocity", [False, True])
def test_momentum_by_hand(lr_in_velocity: bool) -> None:
    """lr 0.1, μ 0.9, gradients 2.0 then 1.8: v = 2.0, then 3.6; moves 0.2, then 0.36."""
    w = np.array([0.0])
    opt = gs.SGD(w, lr=0.1, momentum=0.9, lr_in_velocity=lr_in_velocity)
    buffer = opt.state["0"]["momentum_buffer"]
    scale = 0.1 if lr_in_velocity else 1.0
    opt.step(np.array([2.0]))
    assert buffer[0] == pytest.approx(2.0 * scale)
    assert w[0] == pytest.approx(-0.2)
    opt.step(np.array([1.8]))
    assert buffer[0] == pytest.approx(3.6 * scale)
    assert w[0] == pytest.approx(-0.56)


def test_momentum_approaches_terminal_velocity() -> None:
    w = np.array([0.0])
    opt = gs.SGD(w, lr=0.1, momentum=0.9)
    for _ in range(400):
        before = w[0]
        opt.step(np.array([3.0]))
    assert before - w[0] == pytest.approx(0.1 * 3.0 / (1 - 0.9), rel=1e-12)


def test_rmsprop_by_hand() -> None:
    """lr 0.1, α 0.9, ε → 0, gradients 10 then 12: s = 10, then 23.4; moves 0.316, then 0.248."""
    w = np.array([0.0])
    opt = gs.RMSprop(w, lr=0.1, alpha=0.9, eps=0.0)
    squares = opt.state["0"]["square_avg"]
    opt.step(np.array([10.0]))
    assert squares[0] == pytest.approx(10.0)
    assert w[0] == pytest.approx(-0.316, abs=5e-4)
    opt.step(np.array([12.0]))
    assert squares[0] == pytest.approx(23.4)
    assert w[0] == pytest.approx(-0.316 - 0.248, abs=5e-4)


def test_first_adam_step_is_lr_times_sign() -> None:
    grad = np.array([1e-6, -1e-3, 1.0, 1e3, -1e6])
    w = np.zeros(5)
    gs.Adam(w, lr=0.01, eps=1e-12).step(grad)
    np.testing.assert_allclose(w, -0.01 * np.sign(grad), rtol=1e-5)


def test_dampening_spares_the_first_step() -> None:
    w = np.array([0.0])
    opt = gs.SGD(w, lr=1.0, momentum=0.5, dampening=0.25)
    opt.step(np.array([4.0]))
    assert w[0] == -4.0
    opt.step(np.array([4.0]))
    assert w[0] == -4.0 - (0.5 * 4.0 + 0.75 * 4.0)


def test_decoupled_decay_shrinks_and_coupled_decay_enters_the_gradient() -> None:
    w = np.array([1.0])
    gs.SGD(w, lr=0.1, weight_decay=0.5, decoupled_weight_decay=True).step(np.array([2.0]))
    assert w[0] == pytest.approx(0.95 - 0.2, rel=1e-15)
    w = np.array([1.0])
    gs.SGD(w, lr=0.1, weight_decay=0.5).step(np.array([2.0]))
    assert w[0] == pytest.approx(1.0 - 0.1 * 2.5, rel=1e-15)


def test_proximal_l1_gives_exact_zeros() -> None:
    w = np.array([0.3, 0.05, -0.05, -0.3])
    gs.SGD(w, lr=0.1, l1=1.0).step(np.zeros(4))
    np.testing.assert_allclose(w, [0.2, 0.0, 0.0, -0.2], atol=1e-16)
    assert np.count_nonzero(w) == 2


def test_clip_value_limits_each_element() -> None:
    w = np.zeros(4)
    gs.SGD(w, lr=1.0, clip_value=0.5).step(np.array([-2.0, -0.25, 0.25, 2.0]))
    np.testing.assert_array_equal(w, [0.5, 0.25, -0.25, -0.5])


def test_clip_norm_scales_all_gradients_together() -> None:
    a, b = np.zeros(1), np.zeros(1)
    opt = gs.SGD([a, b], lr=1.0, clip_norm=1.0)
    info = opt.step([np.array([3.0]), np.array([4.0])])
    assert info == (5.0, False)
    np.testing.assert_allclose([a[0], b[0]], [-0.6, -0.8], rtol=1e-6)
    info = opt.step([np.array([0.3]), None])
    assert info.grad_norm == pytest.approx(0.3)
    assert a[0] == pytest.approx(-0.9, rel=1e-6)


def test_each_group_has_its_own_limit_on_the_norm_of_all() -> None:
    a, b = np.zeros(1), np.zeros(1)
    opt = gs.SGD([{"params": a}, {"params": b, "clip_norm": None}], lr=1.0, clip_norm=1.0)
    opt.step([np.array([3.0]), np.array([4.0])])
    np.testing.assert_allclose([a[0], b[0]], [-0.6, -4.0], rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "kept", "needs_norm"),
    [
        ({}, 8, False),
        ({"maximize": True, "clip_value": 1.0, "l1": 0.1, "weight_decay": 0.1}, 8, False),
        ({"decoupled_weight_decay": False, "weight_decay": 0.1}, 8, False),
        ({"lr": gs.schedules.linear_warmup(10), "cautious": True}, 8, False),
        ({"amsgrad": True}, 12, False),
        ({"ema_decay": 0.9}, 12, False),
        ({"clip_norm": 1.0}, 8, True),
        ({"skip_nonfinite": True}, 8, True),
    ],
    ids=str,
)
def test_options_keep_no_more_than_they_need(
    options: dict[str, Any], kept: int, needs_norm: bool
) -> None:
    """`kept` bytes per element of state and average; the norm, a read of the gradients, on need."""
    w, grad = np.ones((2, 10), np.float32)
    opt = gs.AdamW(w, **options)
    info = opt.step(grad)
    arrays = [*opt.state["0"].values(), *opt.ema.values()]
    assert sum(array.nbytes for array in arrays) == kept * w.size
    assert (info.grad_norm is not None) is needs_norm


def test_grad_scale_and_maximize_are_factors_of_the_gradient() -> None:
    w = np.zeros(1)
    opt = gs.SGD(w, lr=1.0, maximize=True)
    info = opt.step(np.array([8.0]), grad_scale=0.25, with_norm=True)
    assert w[0] == 2.0
    assert info.grad_norm == 2.0


def test_ema_follows_from_the_first_parameters() -> None:
    w = np.array([1.0])
    opt = gs.SGD(w, lr=1.0, ema_decay=0.5)
    opt.step(np.array([1.0]))
    assert opt.ema["0"][0] == 0.5 * 1.0 + 0.5 * 0.0
    opt.step(np.array([1.0]))
    assert opt.ema["0"][0] == 0.5 * 0.5 + 0.5 * -1.0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_skip_nonfinite_changes_nothing(bad: float) -> None:
    w, b = np.ones(3), np.ones(2)
    opt = gs.Adam([w, b], lr=0.1, skip_nonfinite=True)
    assert opt.step([np.ones(3), np.ones(2)]) == (pytest.approx(np.sqrt(5)), False)
    before = [w.copy(), *(s.copy() for s in opt.state["0"].values())]
    info = opt.step([np.ones(3), np.array([1.0, bad])])
    assert info.skipped
    assert not np.isfinite(info.grad_norm or 0.0)
    for array, old in zip([w, *opt.state["0"].values()], before, strict=True):
        np.testing.assert_array_equal(array, old)
    assert opt.steps == 1
    # The step after it is the second, not the third.
    other = np.ones(3)
    twin = gs.Adam([other], lr=0.1)
    for _ in range(2):
        twin.step([np.ones(3)])
    opt.step([np.ones(3), np.ones(2)])
    np.testing.assert_array_equal(w, other)


def test_schedules_see_the_number_of_completed_steps() -> None:
    seen: list[int] = []

    def lr(step: int) -> float:
        seen.append(step)
        return 0.5

    w = np.zeros(1)
    opt = gs.SGD(w, lr=lr, skip_nonfinite=True)
    opt.step(np.ones(1))
    opt.step(np.array([np.nan]))
    opt.step(np.ones(1))
    # Preparing the state looks at step 0 too.
    assert seen[-3:] == [0, 1, 1]


def test_any_hyperparameter_takes_a_schedule() -> None:
    w, twin = np.ones(3), np.ones(3)
    scheduled = gs.AdamW(
        w,
        lr=gs.schedules.linear_warmup(4) * 0.1,
        betas=(lambda t: 0.9 - 0.1 * t, 0.99),
        weight_decay=lambda t: 0.1 * t,
        clip_norm=lambda t: 1.0 + t,
    )
    plain = gs.AdamW(twin, clip_norm=1.0)
    for t in range(4):
        plain.lr = 0.1 * t / 4
        plain.betas = (0.9 - 0.1 * t, 0.99)
        plain.weight_decay = 0.1 * t
        plain.clip_norm = 1.0 + t
        for opt in (scheduled, plain):
            opt.step(np.array([1.0, -2.0, 3.0]))
    np.testing.assert_array_equal(w, twin)


def test_momentum_switched_on_later_starts_with_an_empty_buffer() -> None:
    w = np.zeros(1)
    opt = gs.SGD(w, lr=1.0)
    opt.step(np.ones(1))
    opt.momentum = 0.5
    assert list(opt.state["0"]) == ["momentum_buffer"]
    opt.step(np.ones(1))
    opt.step(np.ones(1))
    assert w[0] == -(1 + 1 + 1.5)
