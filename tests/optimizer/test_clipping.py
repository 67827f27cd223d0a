"""Limits on gradients within the step: against copies that were limited before, and Optax."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradstep as gs
from tests.helpers import Array, awkward_params, gradients


def params() -> dict[str, Array]:
    rng = np.random.default_rng(3)
    shapes = {"wide": (30, 200), "tall": (200, 3), "conv": (3, 3, 4, 8), "bias": (50,), "one": ()}
    named = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    named["wide"][:, 7] = 0.0
    return named | {"fortran": np.asfortranarray(rng.normal(size=(40, 70)))}


LIMITS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "tensor": ({"clip_tensor_norm": 2.0}, {"tensor_norm": 2.0}),
    "adaptive": ({"clip_adaptive": 0.05}, {"adaptive": 0.05}),
    "adaptive, eps": (
        {"clip_adaptive": 0.05, "clip_adaptive_eps": 5.0},
        {"adaptive": 0.05, "eps": 5.0},
    ),
    "adaptive, first axis": (
        {"clip_adaptive": 0.05, "clip_adaptive_axis": 0},
        {"adaptive": 0.05, "axis": 0},
    ),
    "all": (
        {"clip_adaptive": 0.2, "clip_tensor_norm": 3.0, "clip_norm": 4.0, "clip_value": 0.3},
        {"adaptive": 0.2, "tensor_norm": 3.0, "norm": 4.0, "value": 0.3},
    ),
}


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.usefixtures("backend")
def test_a_limit_in_the_step_equals_limited_gradients(limit: str) -> None:
    ours, theirs = LIMITS[limit]
    inside, outside = params(), params()
    opts = [gs.SGD(inside, lr=0.1, **ours), gs.SGD(outside, lr=0.1)]
    for step in range(3):
        grads = gradients(inside, step)
        limited, norm = gs.clip_grads(
            {name: 0.5 * g for name, g in grads.items()}, params=outside, **theirs
        )
        assert opts[0].step(grads, grad_scale=0.5).grad_norm == pytest.approx(norm, rel=1e-14)
        opts[1].step(limited)
        assert gs.global_norm(limited) < 0.9 * norm
    for name, param in inside.items():
        np.testing.assert_allclose(param, outside[name], rtol=1e-12, atol=1e-13, err_msg=name)


@pytest.mark.usefixtures("backend")
def test_adaptive_clipping_equals_optax() -> None:
    optax = pytest.importorskip("optax", reason="optax is not installed")
    named = {name: p.astype("f") for name, p in params().items()}
    grads = gradients(named, 0)
    transform = optax.adaptive_grad_clip(0.05)
    clipped, _ = transform.update(grads, transform.init(named), named)
    opt = gs.SGD({name: p.copy(order="K") for name, p in named.items()}, lr=1.0, clip_adaptive=0.05)
    opt.step(grads)
    for name, before in named.items():
        np.testing.assert_allclose(
            opt.params[name], before - np.asarray(clipped[name]), rtol=1e-6, atol=2e-6, err_msg=name
        )


@pytest.mark.usefixtures("backend")
def test_units_along_the_first_axis_are_those_of_the_transposed_along_the_last() -> None:
    weights = np.random.default_rng(0).normal(size=(70, 1030)).astype("f")
    grads = gradients({"W": weights}, 0)["W"]
    turned = np.asfortranarray(weights.copy().T)
    ours = gs.SGD(weights, lr=0.1, clip_adaptive=0.05, clip_adaptive_axis=0)
    theirs = gs.SGD(turned, lr=0.1, clip_adaptive=0.05)
    ours.step(grads)
    theirs.step(np.asfortranarray(grads.T))
    np.testing.assert_array_equal(weights, turned.T)
    ours.clip_adaptive_axis = theirs.clip_adaptive_axis = -1
    ours.step(grads)
    theirs.clip_adaptive_axis = 0
    theirs.step(np.asfortranarray(grads.T))
    np.testing.assert_array_equal(weights, turned.T)


@pytest.mark.parametrize("axis", [1, -2, True, 0.0, None])
def test_an_axis_that_is_neither_the_first_nor_the_last_is_refused(axis: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="clip_adaptive_axis must be 0 or -1"):
        gs.SGD(np.ones((2, 2)), lr=0.1, clip_adaptive_axis=axis)
    with pytest.raises((TypeError, ValueError), match="axis must be 0 or -1"):
        gs.clip_grads(np.ones((2, 2)), adaptive=0.1, params=np.ones((2, 2)), axis=axis)


@pytest.mark.usefixtures("backend")
def test_limits_of_groups_are_their_own() -> None:
    free, bound = np.zeros(4), np.zeros(4)
    opt = gs.SGD([{"params": free}, {"params": bound, "clip_tensor_norm": 0.5}], lr=1.0)
    info = opt.step([np.ones(4), np.ones(4)])
    np.testing.assert_array_equal(free, -np.ones(4))
    np.testing.assert_allclose(bound, -0.25 * np.ones(4), rtol=1e-6)
    assert info.grad_norm == pytest.approx(8**0.5)
    opt.groups[1]["clip_tensor_norm"] = None
    assert opt.step([None, np.ones(4)]).grad_norm is None
    np.testing.assert_allclose(bound, -1.25 * np.ones(4), rtol=1e-6)


@pytest.mark.usefixtures("backend")
def test_a_schedule_limits_each_step_anew() -> None:
    w = np.zeros(1)
    opt = gs.SGD(w, lr=1.0, clip_tensor_norm=gs.schedules.piecewise([1], [0.5, 0.25]))
    for expected in (-0.5, -0.75):
        opt.step(np.array([10.0]))
        assert w[0] == pytest.approx(expected, rel=1e-6)


@pytest.mark.usefixtures("backend", "low_threshold")
def test_a_gradient_that_is_not_finite_is_not_hidden_by_limits() -> None:
    named = awkward_params("float64")
    opt = gs.SGD(named, lr=0.1, clip_adaptive=0.1, clip_tensor_norm=1.0, clip_norm=1.0)
    grads = gradients(named, 0)
    grads["matrix"][3, 5] = np.nan
    assert np.isnan(opt.step(grads).grad_norm)
    assert np.isnan(named["matrix"][3, 5])


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("limit", ["clip_tensor_norm", "clip_adaptive"])
def test_a_limit_that_is_switched_off_is_off_while_another_stays(limit: str) -> None:
    w = np.ones(4)
    opt = gs.SGD(w, lr=1.0, clip_norm=1e9, **{limit: 0.1})
    opt.step(np.full(4, 10.0))
    assert w[0] > 0.8
    opt.groups[0][limit] = None
    before = w.copy()
    opt.step(np.full(4, 10.0))
    np.testing.assert_array_equal(w, before - 10.0)
