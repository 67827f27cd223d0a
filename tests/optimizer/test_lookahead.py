"""The point that momentum leads to, beside the textbooks' equations in plain Python."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest

import gradstep as gs

pytestmark = pytest.mark.usefixtures("backend")


def test_lookahead_is_the_textbook_nesterov() -> None:
    """θ̃ = θ − lr·μ·v; v ← μv + g(θ̃); θ ← θ − lr·v, on a quadratic, beside plain Python."""
    w = np.array([1.0, -2.0])
    curvature = np.array([2.0, 16.0])
    opt = gs.SGD(w, lr=0.02, momentum=0.9)
    theta, v = w.copy(), np.zeros(2)
    for _ in range(30):
        with opt.lookahead():
            grad = curvature * w
        opt.step(grad)
        v = 0.9 * v + curvature * (theta - 0.02 * 0.9 * v)
        theta = theta - 0.02 * v
    np.testing.assert_allclose(w, theta, rtol=1e-12)


def test_lookahead_restores_every_bit_also_after_an_error() -> None:
    rng = np.random.default_rng(0)
    w = rng.normal(size=1000).astype(np.float32)
    opt = gs.SGD(w, lr=0.1, momentum=0.9)
    opt.step(rng.normal(size=1000).astype(np.float32))
    before = w.copy()
    with contextlib.suppress(KeyError), opt.lookahead():
        assert not np.array_equal(w, before)
        raise KeyError
    np.testing.assert_array_equal(w, before)
    with opt.lookahead(), pytest.raises(RuntimeError, match=r"busy with lookahead\(\)"):
        opt.step(np.zeros(1000, np.float32))
    np.testing.assert_array_equal(w, before)


def test_lookahead_with_lr_in_velocity_is_goodfellows_algorithm_while_lr_changes() -> None:
    """Algorithm 8.3: θ̃ = θ + αv; v ← αv − lr·g(θ̃); θ ← θ + v, beside plain Python."""
    w, curvature = np.array([1.0, -2.0]), np.array([2.0, 16.0])
    lr = gs.schedules.exponential(0.9) * 0.05
    opt = gs.SGD(w, lr=lr, momentum=0.9, lr_in_velocity=True)
    theta, v = w.copy(), np.zeros(2)
    for step in range(30):
        with opt.lookahead():
            np.testing.assert_allclose(w, theta + 0.9 * v, rtol=1e-11)
            grad = curvature * w
        opt.step(grad)
        v = 0.9 * v - lr(step) * curvature * (theta + 0.9 * v)
        theta = theta + v
    np.testing.assert_allclose(w, theta, rtol=1e-11)


def test_rmsprop_with_lr_in_velocity_is_goodfellows_algorithm_while_lr_changes() -> None:
    """Algorithm 8.6: θ̃ = θ + αv; r ← ρr + (1−ρ)g(θ̃)²; v ← αv − lr/√r·g; θ ← θ + v."""
    w, curvature = np.array([1.0, -2.0]), np.array([2.0, 16.0])
    lr = gs.schedules.exponential(0.9) * 0.05
    opt = gs.RMSprop(w, lr=lr, alpha=0.9, momentum=0.8, eps=0.0, lr_in_velocity=True)
    theta, v, r = w.copy(), np.zeros(2), np.zeros(2)
    for step in range(30):
        with opt.lookahead():
            np.testing.assert_allclose(w, theta + 0.8 * v, rtol=1e-10)
            grad = curvature * w
        opt.step(grad)
        expected = curvature * (theta + 0.8 * v)
        r = 0.9 * r + 0.1 * expected**2
        v = 0.8 * v - lr(step) / np.sqrt(r) * expected
        theta = theta + v
    np.testing.assert_allclose(w, theta, rtol=1e-10)


def test_lookahead_does_not_leap_twice() -> None:
    w = np.ones(2)
    for cls in (gs.SGD, gs.RMSprop):
        opt = cls(w, momentum=0.9, nesterov=True)
        text = r"lookahead\(\) with nesterov=True would lead twice.*opt\.nesterov = False"
        with pytest.raises(ValueError, match=text), opt.lookahead():
            pass
        opt.nesterov = False
        with opt.lookahead():
            pass


def test_rmsprop_lookahead_is_goodfellows_algorithm() -> None:
    """θ̃ = θ − lr·μ·b; s ← αs + (1−α)g(θ̃)²; b ← μb + g/√s; θ ← θ − lr·b, beside plain Python."""
    w = np.array([1.0, -2.0])
    curvature = np.array([2.0, 16.0])
    opt = gs.RMSprop(w, lr=0.01, alpha=0.9, momentum=0.8, eps=0.0)
    theta, b, s = w.copy(), np.zeros(2), np.zeros(2)
    for _ in range(30):
        with opt.lookahead():
            grad = curvature * w
        opt.step(grad)
        expected = curvature * (theta - 0.01 * 0.8 * b)
        s = 0.9 * s + 0.1 * expected**2
        b = 0.8 * b + expected / np.sqrt(s)
        theta = theta - 0.01 * b
    np.testing.assert_allclose(w, theta, rtol=1e-11)
