"""Steps of Thinc's own optimizers and of gradstep's in their place."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from tests.thinc.training import DYNAMIC, gradients, state, stepped, thinc, weights

ours = pytest.importorskip("gradstep.thinc")

# Thinc forms 1 − β2 in float32, 1.3e-5 of it too small, which is as much of Adam's steps' length.
TOLERANCE = 5e-5
STEPS = range(200)

FACTORIES = {
    "Adam": (thinc.Adam, ours.Adam),
    "RAdam": (thinc.RAdam, ours.RAdam),
    "SGD": (thinc.SGD, ours.SGD),
}
OPTIONS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "nothing": {"grad_clip": 0.0, "use_averages": False},
    "weight decay": {"L2": 0.01},
    "weight decay, not clipped": {"L2": 0.1, "grad_clip": 0.0},
    "L2": {"L2": 0.1, "L2_is_weight_decay": False},
    "L2, not clipped": {"L2": 0.1, "L2_is_weight_decay": False, "grad_clip": 0.0},
    "clipped to little": {"grad_clip": 0.02},
    "generators": {"L2": iter, "grad_clip": iter, "L2_is_weight_decay": False},
}


def made(factory: Callable[..., Any], options: dict[str, Any]) -> Any:
    given = {name: cycle(name) if value is iter else value for name, value in options.items()}
    return factory(0.01, **given)


def cycle(name: str) -> Any:
    """A generator that ends before training does."""
    yield from [{"L2": 0.05, "grad_clip": 0.5}[name] / (1 + i % 3) for i in range(100)]


def assert_alike(got: Any, expected: Any) -> None:
    for mine, theirs in zip(got, expected, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("lr_scale", [1.0, 0.5])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize(("theirs", "mine"), FACTORIES.values(), ids=FACTORIES)
def test_weights_and_state_are_thincs(
    theirs: Any, mine: Any, options: dict[str, Any], lr_scale: float
) -> None:
    expected, got = made(theirs, options), made(mine, options)
    assert_alike(
        stepped(got, weights(), STEPS, lr_scale), stepped(expected, weights(), STEPS, lr_scale)
    )
    kept, known = state(got), state(expected)
    assert kept.keys() == known.keys()
    assert_alike(kept.values(), known.values())
    assert [a.shape for a in kept.values()] == [a.shape for a in known.values()]
    assert got.nr_update == expected.nr_update


def test_learning_rates_follow_a_schedule() -> None:
    rates = thinc.decaying(0.05, 0.1)
    expected, got = thinc.Adam(rates), ours.Adam(thinc.decaying(0.05, 0.1))
    assert_alike(stepped(got, weights(), STEPS), stepped(expected, weights(), STEPS))
    constant = stepped(ours.Adam(0.05), weights(), STEPS)
    assert np.abs(constant[0] - stepped(got, weights(), range(0))[0]).max() > 0.1


@pytest.mark.skipif(not DYNAMIC, reason="schedules know keys and scores from Thinc 9 on")
def test_schedules_know_the_key_and_the_last_score() -> None:
    def rate(schedule: Any, step: int, *, key: Any, last_score: Any, **_: Any) -> float:
        assert last_score == (0, 0.25)
        return 0.01 * (1 + key[0]) / (1 + step)

    results = []
    for factory in (thinc.Adam, ours.Adam):
        opt = factory(thinc.Schedule("by key", rate))
        opt.last_score = 0.25
        results.append(stepped(opt, weights(), range(20)))
    assert_alike(*results)


def test_what_is_set_counts_from_the_next_call() -> None:
    def constant(value: float) -> Any:
        return thinc.constant(value) if DYNAMIC else value

    results = []
    for factory in (thinc.Adam, ours.Adam):
        opt = factory(0.01)
        params = stepped(opt, weights(), range(10))
        opt.learn_rate, opt.L2 = constant(0.1), constant(0.2)
        params = stepped(opt, params, range(10, 20))
        opt.L2_is_weight_decay = False
        params = stepped(opt, params, range(20, 30))
        if DYNAMIC:
            opt.learn_rate.attrs["rate"] = 0.001
        results.append(stepped(opt, params, range(30, 40)))
    assert_alike(*results)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("factory", [ours.Adam, ours.RAdam, ours.SGD])
def test_backends_give_the_same_bits(factory: Any, options: dict[str, Any]) -> None:
    results = []
    for backend in gs.runtime.available_backends():
        with gs.runtime.set_backend(backend):
            opt = made(factory, options)
            results.append([*stepped(opt, weights(), range(8)), *state(opt).values()])
    for bits in zip(*results, strict=True):
        assert all(np.array_equal(one, bits[0]) for one in bits)


def test_optimizers_go_on_with_another_backend() -> None:
    opt, alone = ours.Adam(0.01), ours.Adam(0.01)
    params = weights()
    for i, backend in enumerate([*gs.runtime.available_backends()] * 2):
        with gs.runtime.set_backend(backend):
            params = stepped(opt, params, range(5 * i, 5 * i + 5))
    for one, other in zip(params, stepped(alone, weights(), range(5 * i + 5)), strict=True):
        assert np.array_equal(one, other)


@pytest.mark.usefixtures("native")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_plain_arrays_need_no_table(monkeypatch: pytest.MonkeyPatch, dtype: str) -> None:
    opt = ours.Adam(0.01, L2=0.1, L2_is_weight_decay=False)
    params = [pickle.loads(pickle.dumps(param)) for param in weights(dtype)]
    monkeypatch.setattr("gradstep.thinc.optimizer.step_by_table", None)
    for step in range(3):
        opt = pickle.loads(pickle.dumps(opt))
        for i, gradient in enumerate(gradients(step, dtype)):
            opt((i, "W"), params[i], gradient)
    assert opt.nr_update == dict.fromkeys([(i, "W") for i in range(len(params))], 3)


@pytest.mark.skipif(not DYNAMIC, reason="attributes are numbers in this version of Thinc")
def test_a_number_where_a_schedule_belongs_is_refused() -> None:
    opt, params = ours.Adam(0.01), weights()
    opt.learn_rate = 0.1
    advice = r"learn_rate must be a schedule of Thinc's, got 0\.1; set thinc\.schedules\.constant"
    with pytest.raises(TypeError, match=advice):
        stepped(opt, params, range(1))
    opt.learn_rate = thinc.constant(0.1)
    stepped(opt, params, range(1))
