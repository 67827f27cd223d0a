"""What the walks through bowl and ravine are said to show, and that plain NumPy walks alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.experiments.programs import assert_light_svg, program, say

ravine = program("ravine")
Array = np.ndarray[Any, Any]
Gradient = Callable[[Array], Array]
LR = 0.1


def sgd(w: Array, gradient: Gradient) -> Iterator[Array]:
    while True:
        w = w - LR * gradient(w)
        yield w


def momentum(w: Array, gradient: Gradient, mu: float, ahead: bool = False) -> Iterator[Array]:
    v = np.zeros(2)
    while True:
        v = mu * v + LR * gradient(w - mu * v if ahead else w)
        w = w - v
        yield w


def adagrad(w: Array, gradient: Gradient) -> Iterator[Array]:
    s = np.zeros(2)
    while True:
        g = gradient(w)
        s = s + g * g
        w = w - LR * g / (np.sqrt(s) + 1e-10)
        yield w


def rmsprop(w: Array, gradient: Gradient, alpha: float) -> Iterator[Array]:
    s = np.zeros(2)
    while True:
        g = gradient(w)
        s = alpha * s + (1 - alpha) * g * g
        w = w - LR * g / (np.sqrt(s) + 1e-10)
        yield w


def adadelta(w: Array, gradient: Gradient, rho: float = 0.9, eps: float = 1e-6) -> Iterator[Array]:
    s, d = np.zeros(2), np.zeros(2)
    while True:
        g = gradient(w)
        s = rho * s + (1 - rho) * g * g
        step = np.sqrt(d + eps) / np.sqrt(s + eps) * g
        d = rho * d + (1 - rho) * step * step
        w = w - LR * step
        yield w


def adam(w: Array, gradient: Gradient) -> Iterator[Array]:
    m, v, t = np.zeros(2), np.zeros(2), 0
    while True:
        g, t = gradient(w), t + 1
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g * g
        w = w - LR * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        yield w


TWINS: dict[str, tuple[Callable[..., Iterator[Array]], tuple[Any, ...]]] = {
    "SGD": (sgd, ()),
    "momentum 0.1": (momentum, (0.1,)),
    "momentum 0.9": (momentum, (0.9,)),
    "momentum 0.99": (momentum, (0.99,)),
    "Nesterov 0.9": (momentum, (0.9, True)),
    "AdaGrad": (adagrad, ()),
    "RMSprop 0.1": (rmsprop, (0.1,)),
    "RMSprop 0.9": (rmsprop, (0.9,)),
    "RMSprop 0.99": (rmsprop, (0.99,)),
    "Adadelta": (adadelta, ()),
    "Adam": (adam, ()),
}


@pytest.fixture(scope="module")
def paths() -> dict[tuple[str, str], Array]:
    found: dict[tuple[str, str], Array] = ravine.trajectories()
    return found


def test_every_optimizer_has_a_twin() -> None:
    assert TWINS.keys() == ravine.OPTIMIZERS.keys()


@pytest.mark.parametrize("function", ["bowl", "ravine"])
@pytest.mark.parametrize("name", TWINS)
def test_plain_numpy_walks_alike(paths: dict[Any, Array], name: str, function: str) -> None:
    twin, arguments = TWINS[name]
    curvature = 2 * np.array({"bowl": [1.0, 1.0], "ravine": [1.0, 8.0]}[function])
    start = np.array([1.0, 1.0])
    walk = twin(start, lambda w: curvature * w, *arguments)
    expected = np.array([start, *(next(walk) for _ in range(50))])
    # Where it diverges, what is rounded grows with it.
    scale = np.maximum.accumulate(np.maximum(1.0, np.abs(expected)))
    np.testing.assert_allclose(paths[name, function] / scale, expected / scale, rtol=0, atol=1e-12)


def sign_changes(path: Array) -> Array:
    return (np.sign(path[1:]) != np.sign(path[:-1])).sum(axis=0)


def losses(paths: dict[Any, Array], name: str, function: str) -> Array:
    found: Array = ravine.loss(paths[name, function], function)
    return found


def test_sgd_walks_into_the_bowl_and_leaps_across_the_ravine(paths: dict[Any, Array]) -> None:
    assert sign_changes(paths["SGD", "bowl"]).tolist() == [0, 0]
    assert sign_changes(paths["SGD", "ravine"]).tolist() == [0, 50]


@pytest.mark.parametrize("function", ["bowl", "ravine"])
def test_momentum_has_nothing_to_win(paths: dict[Any, Array], function: str) -> None:
    def steps_to_a_thousandth(name: str) -> int:
        return int(np.argmax(losses(paths, name, function) < 1e-3))

    plain, a_little = (steps_to_a_thousandth(name) for name in ("SGD", "momentum 0.1"))
    assert 0 <= plain - a_little <= 3
    sgd, swinging, never = (
        losses(paths, name, function)[-1] for name in ("SGD", "momentum 0.9", "momentum 0.99")
    )
    assert sign_changes(paths["momentum 0.9", function]).min() > 0
    assert swinging > 1e6 * sgd
    assert never > 0.1


def test_nesterov_is_calm_in_the_bowl_and_diverges_in_the_ravine(paths: dict[Any, Array]) -> None:
    calm, swinging = (losses(paths, name, "bowl")[-1] for name in ("Nesterov 0.9", "momentum 0.9"))
    assert calm < 1e-3 * swinging
    w2 = np.abs(paths["Nesterov 0.9", "ravine"][:, 1])
    assert w2[-1] > 1e6
    bound = (2 + 2 * 0.9) / (1 + 2 * 0.9) / 16
    assert abs(ravine.trajectory("Nesterov 0.9", "ravine", 0.999 * bound, 5000)[-1, 1]) < 1
    assert abs(ravine.trajectory("Nesterov 0.9", "ravine", 1.001 * bound, 5000)[-1, 1]) > 1


@pytest.mark.parametrize("function", ["bowl", "ravine"])
def test_rmsprop_leaps_between_two_points_or_lands_by_luck(
    paths: dict[Any, Array], function: str
) -> None:
    end = paths["RMSprop 0.1", function][-10:]
    for one, other in pairwise(end):
        np.testing.assert_allclose(one, -other, rtol=1e-6)
    np.testing.assert_allclose(np.abs(end), 0.05, rtol=1e-6)
    np.testing.assert_allclose(paths["RMSprop 0.99", function][1], 0, atol=1e-9)
    assert losses(paths, "RMSprop 0.9", function)[-1] < 1e-30


def test_those_that_divide_by_gradients_walk_the_ravine_as_the_bowl(
    paths: dict[Any, Array],
) -> None:
    for name in ("AdaGrad", "RMSprop 0.1", "RMSprop 0.9", "Adam"):
        np.testing.assert_allclose(paths[name, "ravine"], paths[name, "bowl"], rtol=0, atol=1e-6)
    assert np.abs(paths["SGD", "ravine"] - paths["SGD", "bowl"]).max() > 1


def test_adadelta_has_hardly_set_off(paths: dict[Any, Array]) -> None:
    assert (paths["Adadelta", "ravine"][-1] > 0.98).all()


def test_the_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    where = tmp_path / "ravine.svg", tmp_path / "surface.svg"
    said = say(ravine, monkeypatch, capsys, "--plot", where[0], "--surface", where[1])
    assert all(f" {name} " in said for name in ravine.OPTIMIZERS)
    for path in where:
        assert_light_svg(path)
