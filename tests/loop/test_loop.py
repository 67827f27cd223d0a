"""What a training loop needs beside the step: scaling, stopping, batches, and their states."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from tests.helpers import assert_same_bits


def test_early_stopping_restores_the_best() -> None:
    params = {"w": np.zeros(3), "layers": [np.asfortranarray(np.zeros((2, 3)))]}
    stopping = gs.EarlyStopping(patience=2, min_delta=0.1, mode="max")
    stopped = None
    for step, metric in enumerate([0.1, 0.5, 0.55, np.nan, 0.45, 0.9]):
        params["w"] += 1
        params["layers"][0][...] += 2
        if stopping.update(metric, params):
            stopped = step
            break
    assert stopped == 4
    assert stopping.best == 0.5
    stopping.restore(params)
    np.testing.assert_array_equal(params["w"], np.full(3, 2.0))
    np.testing.assert_array_equal(params["layers"][0], np.full((2, 3), 4.0))
    with pytest.raises(ValueError, match=r"params must be those of update\(\)"):
        stopping.restore({"w": np.zeros(4)})
    with pytest.raises(RuntimeError, match="no parameters were kept"):
        gs.EarlyStopping().restore(params)


def test_early_stopping_keeps_no_parameters_unasked() -> None:
    stopping = gs.EarlyStopping(restore_best=False)
    stopping.update(1.0, {"w": np.ones(2)})
    assert stopping.state_dict() == {"best": 1.0, "bad": 0, "kept": None}


def test_minibatches_cover_everything_once_and_repeat() -> None:
    x, y = np.arange(20.0).reshape(10, 2), np.arange(10)

    def epoch(**options: Any) -> list[np.ndarray]:
        batches = list(gs.minibatches([x, y], 3, **options))
        for inputs, labels in batches:
            np.testing.assert_array_equal(inputs[:, 0], 2.0 * labels)
        return [labels for _, labels in batches]

    rng = np.random.default_rng
    assert [len(labels) for labels in epoch()] == [3, 3, 3, 1]
    assert [len(labels) for labels in epoch(drop_last=True)] == [3, 3, 3]
    assert sorted(np.concatenate(epoch(rng=rng(1)))) == list(range(10))
    np.testing.assert_array_equal(
        np.concatenate(epoch(rng=rng(1))), np.concatenate(epoch(rng=rng(1)))
    )
    assert len(list(gs.minibatches([x], 5, drop_last=True))) == 2
    view, _ = next(gs.minibatches([x, y], 4))
    assert np.shares_memory(view, x)
    assert len(list(gs.minibatches([x], 10**6))) == 1


def test_early_stopping_continues_where_its_state_was_taken() -> None:
    params = {"w": np.asfortranarray(np.arange(6.0).reshape(2, 3)), "b": np.array(1.0, np.float32)}
    stopping = gs.EarlyStopping(patience=2)
    assert not stopping.update(1.0, params)
    saved = stopping.state_dict()
    best = {name: p.copy() for name, p in params.items()}
    for p in params.values():
        p += 1
    assert [stopping.update(metric, params) for metric in (1.5, 0.5)] == [False, False]

    first, second = (stopping.state_dict()["kept"] for _ in range(2))
    assert not np.shares_memory(first["w"], second["w"])

    other = gs.EarlyStopping(patience=2)
    other.load_state_dict(saved)
    saved["kept"]["w"][...] = 7.0
    assert [other.update(metric, params) for metric in (1.5, 1.5, 1.5)] == [False, False, True]
    other.restore(params)
    assert_same_bits(params, best)

    with pytest.raises(ValueError, match=r"params must be those of update\(\), .*'float64'"):
        other.restore({"w": np.zeros((2, 3), np.float32), "b": params["b"]})

    fresh = gs.EarlyStopping()
    other.load_state_dict(fresh.state_dict())
    assert other.best == np.inf
    with pytest.raises(RuntimeError, match="no parameters were kept"):
        other.restore(params)


GOOD_STATES: dict[str, tuple[Any, dict[str, Any]]] = {
    "scaler": (gs.LossScaler, {"scale": 2.0, "good_steps": 3}),
    "plateau": (
        lambda: gs.schedules.ReduceLROnPlateau(1.0),
        {"value": 0.5, "best": 2.0, "bad": 1, "cooling": 0},
    ),
    "stopping": (gs.EarlyStopping, {"best": 2.0, "bad": 1, "kept": {"w": np.ones(2)}}),
}
BAD_STATES = [
    ("scaler", "scale", 0.0, ValueError, "scale must be a finite number > 0"),
    ("scaler", "good_steps", -1, ValueError, "good_steps must be an integer ≥ 0"),
    ("plateau", "value", float("inf"), ValueError, "value must be a finite number ≥ 0"),
    ("plateau", "best", float("nan"), TypeError, "best must be a number other than NaN"),
    ("plateau", "bad", 1.5, TypeError, "bad must be an integer ≥ 0"),
    ("plateau", "cooling", "1", TypeError, "cooling must be an integer ≥ 0"),
    ("stopping", "best", None, TypeError, "best must be a number other than NaN"),
    ("stopping", "bad", True, TypeError, "bad must be an integer ≥ 0"),
    ("stopping", "kept", [1.0], TypeError, "kept must be a dict of arrays or None"),
    ("stopping", "kept", {"w": np.ones(2, np.int64)}, TypeError, "'w' has dtype int64"),
    ("stopping", "more", 1, ValueError, "must hold best, bad and kept"),
]


@pytest.mark.parametrize("case", range(len(BAD_STATES)))
def test_a_bad_state_changes_nothing(case: int) -> None:
    kind, key, value, error, text = BAD_STATES[case]
    make, good = GOOD_STATES[kind]
    loading = make()
    before = loading.state_dict()
    with pytest.raises(error, match=text):
        loading.load_state_dict({**good, key: value})
    assert loading.state_dict() == before
    loading.load_state_dict(good)
    np.testing.assert_equal(loading.state_dict(), good)


NO_STATES = [
    (gs.LossScaler, None, "a dict that holds scale and good_steps, got None"),
    (gs.EarlyStopping, None, "a dict that holds best, bad and kept, got None"),
    (lambda: gs.schedules.ReduceLROnPlateau(1.0), 5, "holds value, best, bad and cooling, got 5"),
]


@pytest.mark.parametrize(("make", "state", "text"), NO_STATES)
def test_what_is_no_state_is_refused(make: Callable[[], Any], state: Any, text: str) -> None:
    with pytest.raises(TypeError, match=text):
        make().load_state_dict(state)


BAD: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "norm": (lambda: gs.clip_grads([np.ones(1)], norm=0.0), ValueError, "norm must be a finite"),
    "params": (lambda: gs.clip_grads([np.ones(1)], adaptive=0.1), TypeError, "adaptive needs par"),
    "shapes": (
        lambda: gs.clip_grads([np.ones(1)], adaptive=0.1, params=[np.ones(2)]),
        ValueError,
        r"params must have the shapes of grads: .* shape \(1,\) for '0', got one of shape \(2,\)",
    ),
    "no param": (
        lambda: gs.clip_grads([np.array(1.0)], adaptive=0.1, params=[None]),
        ValueError,
        "for '0', got one of shape .* and dtype object",
    ),
    "structure": (
        lambda: gs.clip_grads({"w": np.ones(1)}, adaptive=0.1, params=[np.ones(1)]),
        ValueError,
        r"params must have the structure of grads, \{'w': 'w'\}; got \['0'\]",
    ),
    "missing param": (
        lambda: gs.clip_grads([np.ones(1)] * 2, adaptive=0.1, params=[np.ones(1)]),
        ValueError,
        r"params must have the structure of grads, \['0', '1'\]; got \['0'\]",
    ),
    "restore": (lambda: gs.EarlyStopping(restore_best="x"), TypeError, "restore_best must be Tr"),  # type: ignore[arg-type]
    "growth": (lambda: gs.LossScaler(growth_factor=1.0), ValueError, "growth_factor must be"),
    "backoff": (lambda: gs.LossScaler(backoff_factor=1.0), ValueError, "backoff_factor must be"),
    "scaler": (lambda: gs.LossScaler().load_state_dict({}), ValueError, "must hold scale and"),
    "patience": (lambda: gs.EarlyStopping(patience=-1), ValueError, "patience must be an integer"),
    "mode": (lambda: gs.EarlyStopping(mode="up"), ValueError, "mode must be 'min' or 'max'"),  # type: ignore[arg-type]
    "metric": (lambda: gs.EarlyStopping().update("0.5", []), TypeError, "metric must be a number"),  # type: ignore[arg-type]
    "arrays": (lambda: gs.minibatches([], 1), TypeError, "arrays must be a list of at least one"),
    "lengths": (
        lambda: gs.minibatches([np.ones(3), np.ones(4)], 1),
        ValueError,
        r"arrays must have the same first length, got \[3, 4\]",
    ),
    "batch": (lambda: gs.minibatches([np.ones(3)], 0), ValueError, "batch_size must be an integ"),
    "true": (lambda: gs.minibatches([np.ones(3)], True), TypeError, "batch_size must be an integ"),
    "drop": (
        lambda: gs.minibatches([np.ones(3)], 1, drop_last="no"),  # type: ignore[arg-type]
        TypeError,
        "drop_last must be True or False, got 'no'",
    ),
    "two groups": (
        lambda: gs.EarlyStopping().update(0.0, [{"params": {"w": np.ones(n)}} for n in (1, 2)]),
        ValueError,
        r"two groups have parameters named \['w'\]; rename some of their dict keys",
    ),
    "rng": (lambda: gs.minibatches([np.ones(3)], 1, rng=0), TypeError, "rng must be a numpy.ran"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("case", BAD)
def test_bad_parameters(case: str) -> None:
    make, error, text = BAD[case]
    with pytest.raises(error, match=text):
        make()
