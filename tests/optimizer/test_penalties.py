"""Weight decay, proximal L1 and elastic net against their closed forms, per parameter group.

The function is a separable quadratic, f(p) = ½·Σ a·(p − c)², the gradient a·(p − c), and the method
gradient descent, so that every element's path is a geometric sequence that can be written down.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import gradstep as gs
from tests.helpers import Array

pytestmark = pytest.mark.usefixtures("backend")

RTOL = 1e-12
STEPS = 40
LR = 0.05


class Group(NamedTuple):
    """One parameter, its quadratic and its penalties; no two groups are alike."""

    start: Array
    a: Array
    c: Array
    decay: float
    l1: float

    def gradient(self, p: Array) -> Array:
        return np.asarray(self.a * (p - self.c))


def make_groups(decays: tuple[float, ...], l1s: tuple[float, ...]) -> list[Group]:
    rng = np.random.default_rng(7)
    return [
        Group(
            start=rng.normal(size=50),
            a=rng.uniform(0.5, 3.0, size=50),
            c=rng.normal(size=50),
            decay=decay,
            l1=l1,
        )
        for decay, l1 in zip(decays, l1s, strict=True)
    ]


def descend(
    cls: type[gs.Optimizer], groups: list[Group], steps: int, **options: Any
) -> list[list[Array]]:
    """The path of each group's parameter, its start included."""
    params = [group.start.copy() for group in groups]
    opt = cls(
        [
            {"params": param, "weight_decay": group.decay, "l1": group.l1}
            for param, group in zip(params, groups, strict=True)
        ],
        **{"lr": LR, **options},
    )
    paths = [[param.copy()] for param in params]
    for _ in range(steps):
        opt.step([group.gradient(p) for group, p in zip(groups, params, strict=True)])
        for path, param in zip(paths, params, strict=True):
            path.append(param.copy())
    return paths


def soft_threshold(x: Array, threshold: Array | float) -> Array:
    return np.sign(x) * np.maximum(np.abs(x) - threshold, 0.0)


def geometric(start: Array, fixed: Array, ratio: Array, steps: int = STEPS) -> list[Array]:
    """p* + ratio^t·(p₀ − p*), for t = 0 … steps."""
    return [fixed + ratio**t * (start - fixed) for t in range(steps + 1)]


DECAYS, L1S, NONE = (0.0, 0.3, 2.0), (0.0, 0.2, 0.9), (0.0, 0.0, 0.0)


@pytest.mark.parametrize("decoupled", [False, True])
def test_decay_without_momentum(decoupled: bool) -> None:
    """p_t = p* + (1 − lr·(a + λ))^t·(p₀ − p*), p* = a·c/(a + λ).

    Coupled: p ← p − lr·(a(p − c) + λp). Decoupled: p ← (1 − lr·λ)p − lr·a(p − c), the gradient
    being that of the parameter before it decays. Without momentum the two are the same map.
    """
    groups = make_groups(DECAYS, NONE)
    paths = descend(gs.SGD, groups, STEPS, decoupled_weight_decay=decoupled)
    for group, path in zip(groups, paths, strict=True):
        total = group.a + group.decay
        expected = geometric(group.start, group.a * group.c / total, 1 - LR * total)
        np.testing.assert_allclose(path, expected, rtol=RTOL)


@pytest.mark.parametrize("decoupled", [False, True])
def test_decay_with_momentum(decoupled: bool) -> None:
    """(p, v)_t = z* + Mᵗ·(z₀ − z*), with v ← μv + g and p ← p − lr·v.

    Coupled, g = a(p − c) + λp goes through the velocity: M = [[1 − lr(a + λ), −lr·μ], [a + λ, μ]]
    with the fixed point p* = a·c/(a + λ), v* = 0. Decoupled, p shrinks beside it:
    M = [[1 − lr·λ − lr·a, −lr·μ], [a, μ]], and the fixed point has lr·λ·p = −lr·v and
    v = a(p − c)/(1 − μ), so p* = a·c/(a + λ(1 − μ)), v* = −λ·p*: a weaker pull by 1 − μ.
    """
    momentum = 0.8
    groups = make_groups(DECAYS, NONE)
    options = {"momentum": momentum, "decoupled_weight_decay": decoupled}
    paths = descend(gs.SGD, groups, STEPS, **options)
    for group, path in zip(groups, paths, strict=True):
        through_velocity = group.a + (0.0 if decoupled else group.decay)
        one_step = np.empty((group.a.size, 2, 2))
        one_step[:, 0, 0] = 1 - LR * (group.a + group.decay)
        one_step[:, 0, 1] = -LR * momentum
        one_step[:, 1, 0] = through_velocity
        one_step[:, 1, 1] = momentum
        pull = group.decay * ((1 - momentum) if decoupled else 1.0)
        fixed_p = group.a * group.c / (group.a + pull)
        fixed = np.stack([fixed_p, -group.decay * fixed_p if decoupled else 0.0 * fixed_p], axis=1)
        start = np.stack([group.start, np.zeros_like(group.start)], axis=1) - fixed
        expected = [
            (fixed + np.einsum("nij,nj->ni", np.linalg.matrix_power(one_step, t), start))[:, 0]
            for t in range(STEPS + 1)
        ]
        np.testing.assert_allclose(path, expected, rtol=RTOL)


def test_decoupled_decay_follows_the_schedule_of_lr() -> None:
    """Without a gradient p_t = p₀·Π(1 − lr_s·λ), whatever the rule: here Adam's."""
    lr = gs.schedules.linear_warmup(10) * gs.schedules.cosine_annealing(STEPS) * 0.1
    groups = [group._replace(a=np.zeros(50)) for group in make_groups(DECAYS, NONE)]
    paths = descend(gs.AdamW, groups, STEPS, lr=lr)
    for group, path in zip(groups, paths, strict=True):
        left = np.cumprod([1.0] + [1 - lr(step) * group.decay for step in range(STEPS)])
        np.testing.assert_allclose(path, left[:, None] * group.start, rtol=RTOL)


@pytest.mark.parametrize("decoupled", [False, True])
@pytest.mark.parametrize("decays", [NONE, DECAYS], ids=["l1", "elastic net"])
def test_l1_on_the_way(decays: tuple[float, ...], decoupled: bool) -> None:
    """p_t = p* + (1 − lr·(a + λ))^t·(p₀ − p*), p* = (a·c − s·l1)/(a + λ), while p keeps its sign s.

    As long as the sign stays, p ← S(p − lr·a(p − c) − lr·λp, lr·l1) subtracts lr·l1·s, which is
    gradient descent with a·c less by s·l1. Starts on the side of p*, further out, keep it.
    """
    groups = []
    for group in make_groups(decays, L1S):
        side = np.sign(group.c)
        groups.append(group._replace(c=2.0 * side + group.c, start=5.0 * side + group.c))
    paths = descend(gs.SGD, groups, STEPS, decoupled_weight_decay=decoupled)
    for group, path in zip(groups, paths, strict=True):
        total = group.a + group.decay
        fixed = (group.a * group.c - np.sign(group.c) * group.l1) / total
        assert np.all(np.sign(fixed) == np.sign(group.start))
        expected = geometric(group.start, fixed, 1 - LR * total)
        np.testing.assert_allclose(path, expected, rtol=RTOL)


@pytest.mark.parametrize("decoupled", [False, True])
@pytest.mark.parametrize("decays", [NONE, DECAYS], ids=["l1", "elastic net"])
def test_l1_in_the_end(decays: tuple[float, ...], decoupled: bool) -> None:
    """The minimiser of f + ½λ·|p|² + l1·|p|₁ is S(a·c, l1)/(a + λ); for λ = 0, S(c, l1/a).

    Zeros of it are reached exactly, from either side.
    """
    groups = make_groups(decays, L1S)
    paths = descend(gs.SGD, groups, 2000, decoupled_weight_decay=decoupled)
    zeros = []
    for group, path in zip(groups, paths, strict=True):
        minimiser = soft_threshold(group.a * group.c, group.l1) / (group.a + group.decay)
        np.testing.assert_allclose(path[-1], minimiser, rtol=RTOL)
        np.testing.assert_array_equal(path[-1] == 0, minimiser == 0)
        zeros.append(np.count_nonzero(minimiser == 0))
    assert zeros[0] == 0 < zeros[1] < zeros[2] < 50


def test_l1_reaches_zero_in_the_step_that_is_foretold() -> None:
    """From p₀ > 0 with c = 0: p_t = (p₀ + l1/a)·(1 − lr·a)^t − l1/a until that is ≤ 0, then 0."""
    a, l1 = 2.0, 0.5
    start = np.linspace(0.01, 3.0, 50)
    group = Group(start, np.full(50, a), np.zeros(50), decay=0.0, l1=l1)
    [path] = descend(gs.SGD, [group], STEPS)
    free = [(start + l1 / a) * (1 - LR * a) ** t - l1 / a for t in range(STEPS + 1)]
    np.testing.assert_allclose(path, np.maximum(free, 0.0), rtol=RTOL)
    np.testing.assert_array_equal(np.array(path) == 0, np.array(free) <= 0)


class Regression:
    """40 features, of which the first five matter: ½·|Xw − y|²/n + l1·|w|₁."""

    features, relevant, examples = 40, 5, 200

    def __init__(self) -> None:
        rng = np.random.default_rng(3)
        self.x = rng.normal(size=(self.examples, self.features))
        truth = np.zeros(self.features)
        truth[: self.relevant] = (2.0, -1.5, 1.0, -0.8, 0.6)
        self.y = self.x @ truth + 0.3 * rng.normal(size=self.examples)

    def gradient(self, w: Array, chosen: Array | slice = slice(None)) -> Array:
        x, y = self.x[chosen], self.y[chosen]
        return np.asarray(x.T @ (x @ w - y) / len(y))

    def fit(
        self,
        make: Callable[..., gs.Optimizer],
        l1: float,
        *,
        proximal: bool,
        batch: int | None = None,
    ) -> Array:
        """The weights after 1500 steps; the penalty is proximal, or its subgradient by hand."""
        rng = np.random.default_rng(5)
        w = rng.normal(size=self.features)
        opt = make(w, l1=l1 if proximal else 0.0)
        for _ in range(1500):
            chosen = rng.integers(0, self.examples, batch) if batch else slice(None)
            grad = self.gradient(w, chosen)
            opt.step(grad if proximal else grad + l1 * np.sign(w))
        return w


def test_proximal_l1_solves_the_lasso_where_the_subgradient_has_no_zeros() -> None:
    """At the minimiser the gradient is −l1·sign(w) where w ≠ 0, and within ±l1 where w = 0."""
    regression, l1 = Regression(), 0.1

    def make(w: Array, l1: float) -> gs.Optimizer:
        return gs.SGD(w, lr=0.1, l1=l1)

    w = regression.fit(make, l1, proximal=True)
    grad = regression.gradient(w)
    zero = w == 0
    assert np.count_nonzero(zero) == regression.features - regression.relevant
    np.testing.assert_allclose(grad[~zero], -l1 * np.sign(w[~zero]), rtol=RTOL)
    assert np.all(np.abs(grad[zero]) < l1)

    by_hand = regression.fit(make, l1, proximal=False)
    assert np.count_nonzero(by_hand == 0) == 0


ADAMS: list[type[gs.Optimizer]] = [gs.Adam, gs.AdamW, gs.LaProp, gs.AdaBelief, gs.Adan]


@pytest.mark.parametrize("cls", ADAMS)
def test_proximal_l1_gives_exact_zeros_under_adams_step_sizes(cls: type[gs.Optimizer]) -> None:
    """With mini-batches: most features without relevance go, those with it stay."""
    regression, l1 = Regression(), 0.3
    lr = gs.schedules.cosine_annealing(1500) * 0.02

    def make(w: Array, l1: float) -> gs.Optimizer:
        return cls(w, lr=lr, l1=l1)  # type: ignore[call-arg]

    w = regression.fit(make, l1, proximal=True, batch=16)
    assert np.all(w[: regression.relevant] != 0)
    assert np.count_nonzero(w == 0) > 20

    by_hand = regression.fit(make, l1, proximal=False, batch=16)
    assert np.count_nonzero(by_hand == 0) == 0


@pytest.mark.parametrize("cls", ADAMS)
def test_l1_without_a_gradient(cls: type[gs.Optimizer]) -> None:
    """p_t = S(p₀, t·lr·l1): the threshold is lr·l1, whatever the rule makes of gradients."""
    l1 = 0.5
    start = np.linspace(-2.0, 2.0, 50)
    group = Group(start, np.zeros(50), np.zeros(50), decay=0.0, l1=l1)
    [path] = descend(cls, [group], STEPS)
    expected = [soft_threshold(start, t * LR * l1) for t in range(STEPS + 1)]
    np.testing.assert_allclose(path, expected, rtol=RTOL)
