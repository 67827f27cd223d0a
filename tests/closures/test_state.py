"""Options, states and copies of L-BFGS, and what it refuses."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from tests.closures.problems import quadratic
from tests.closures.test_lbfgs import flat_state
from tests.helpers import assert_same_bits


class Run:
    def __init__(self, **options: Any) -> None:
        self.loss, self.params = quadratic()
        options = {"line_search_fn": "strong_wolfe", "max_iter": 4, "history_size": 5} | options
        self.opt = gs.LBFGS(self.params, **options)

    def step(self, opt: gs.LBFGS | None = None) -> gs.ClosureInfo:
        opt = opt or self.opt
        return opt.step(lambda: self.loss(dict(opt.params)))


def test_a_state_continues_bit_for_bit(backend: str) -> None:
    run, resumed = Run(), Run(history_size=9, lr=0.5)
    for _ in range(2):
        run.step()
    state = run.opt.state_dict()
    kept = copy.deepcopy(state)
    for name, param in run.params.items():
        resumed.params[name][...] = param
    resumed.opt.load_state_dict(state)
    assert (resumed.opt.history_size, resumed.opt.lr) == (5, 1.0)
    for _ in range(3):
        assert run.step() == resumed.step()
    assert_same_bits(resumed.params, run.params)
    assert_same_bits(flat_state(resumed.opt), flat_state(run.opt))
    np.testing.assert_equal(state, kept)  # nothing in it is live


@pytest.mark.parametrize("how", [copy.deepcopy, lambda opt: pickle.loads(pickle.dumps(opt))])
@pytest.mark.parametrize("steps", [0, 2])
def test_copies_and_pickles_go_on_alone(how: Any, steps: int, backend: str) -> None:
    run = Run()
    for _ in range(steps):
        run.step()
    twin = how(run.opt)
    before = {name: param.copy() for name, param in run.params.items()}
    info = run.step(twin)
    assert_same_bits(run.params, before)
    assert run.step() == info
    assert_same_bits(run.params, dict(twin.params))
    with pytest.raises(TypeError, match="a shallow copy would share half of the optimizer"):
        copy.copy(run.opt)


def test_a_copy_beside_its_parameters_trains_them() -> None:
    run = Run()
    params, opt = copy.deepcopy((run.params, run.opt))
    assert all(opt.params[name] is param for name, param in params.items())


def test_checkpoints_hold_it_and_its_parameters(tmp_path: Any, backend: str) -> None:
    pytest.importorskip("safetensors", reason="safetensors is not installed")
    run, resumed = Run(), Run()
    run.step()
    gs.save(tmp_path / "run", run.opt, epoch=3)
    assert gs.load(tmp_path / "run", resumed.opt) == {"epoch": 3}
    for _ in range(2):
        assert run.step() == resumed.step()
    assert_same_bits(resumed.params, run.params)
    assert_same_bits(flat_state(resumed.opt), flat_state(run.opt))
    with pytest.raises(ValueError, match=r"cannot load .* its parameters are"):
        gs.load(tmp_path / "run", gs.LBFGS(np.ones(3)))
    with pytest.raises(ValueError, match="cannot load"):
        gs.load(tmp_path / "run", gs.Adam(Run().params))


def test_checkpoints_say_what_options_they_replace(tmp_path: Any) -> None:
    pytest.importorskip("safetensors", reason="safetensors is not installed")
    run = Run()
    run.opt.lr = 0.5
    gs.save(tmp_path / "run", run.opt)
    gs.load(tmp_path / "run", (like := Run()).opt)  # constructed alike: no warning
    assert like.opt.lr == 0.5
    other = Run(history_size=7)
    with pytest.warns(UserWarning, match="has history_size = 5 in the place of 7; load"):
        gs.load(tmp_path / "run", other.opt)
    assert other.opt.history_size == 5
    kept = Run(history_size=7)
    gs.load(tmp_path / "run", kept.opt, hyperparameters=False)
    assert kept.opt.history_size == 7


def test_checkpoints_hold_it_beside_another_optimizer(tmp_path: Any) -> None:
    pytest.importorskip("safetensors", reason="safetensors is not installed")
    run, resumed = Run(), Run()
    run.step()
    adam, other = gs.Adam(np.zeros(2)), gs.Adam(np.zeros(2))
    gs.save(tmp_path / "run", adam, lbfgs=run.opt)
    gs.load(tmp_path / "run", other, lbfgs=resumed.opt)
    assert_same_bits(resumed.params, run.params)
    assert_same_bits(flat_state(resumed.opt), flat_state(run.opt))


BAD_STATES: dict[str, tuple[Any, str]] = {
    "optimizer": ("Adam", "state_dict is of 'Adam'; this optimizer is LBFGS"),
    "steps": (-1, "steps must be an integer ≥ 0, got -1"),
    "options": ({"betas": 1}, "options in state_dict must be a dict of"),
    "history": (5, "history in state_dict must be a list of pairs, got 5"),
    "scale": (np.nan, "scale in state_dict must be a finite number, got nan"),
    "direction": ({}, "direction must be a dict of arrays for"),
    "gradient": (
        {"w": np.ones(3), "b": np.ones(10)},
        r"gradient: expected an array of shape \(10, 2\) and dtype float64 for 'w', got one of",
    ),
    "absent": (["v"], "absent in state_dict must be a list of parameters"),
}


@pytest.mark.parametrize("entry", BAD_STATES)
def test_a_state_that_does_not_fit_changes_nothing(entry: str) -> None:
    value, text = BAD_STATES[entry]
    run = Run()
    run.step()
    before = run.opt.state_dict()
    with pytest.raises((TypeError, ValueError), match=text):
        run.opt.load_state_dict(before | {entry: value, "t": 17.0})
    np.testing.assert_equal(run.opt.state_dict(), before)
    with pytest.raises(ValueError, match="state_dict must hold"):
        run.opt.load_state_dict({})


BAD_OPTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "lr": ({"lr": 0.0}, "lr must be a finite number > 0 or a schedule"),
    "max_iter": ({"max_iter": 0}, "max_iter must be an integer ≥ 1, got 0"),
    "max_eval": ({"max_eval": 1.5}, "max_eval must be an integer ≥ 1, got 1.5"),
    "tolerance_grad": ({"tolerance_grad": -1}, "tolerance_grad must be a finite number ≥ 0"),
    "tolerance_change": (
        {"tolerance_change": lambda step: 0.0},
        "tolerance_change must be a number, got a function; only lr has schedules",
    ),
    "history_size": ({"history_size": 0}, "history_size must be an integer ≥ 1, got 0"),
    "line_search_fn": ({"line_search_fn": "armijo"}, 'must be None or "strong_wolfe", got'),
    "weight_decay": ({"weight_decay": 0.1}, "has no option 'weight_decay': add ½·λ·‖θ‖² to the"),
    "clip_norm": ({"clip_norm": 1.0}, "no option 'clip_norm': limited gradients are those of no"),
    "ema_decay": ({"ema_decay": 0.9}, "no option 'ema_decay': a step is many iterations"),
    "unknown": ({"betas": (0.9, 0.99)}, "has no option 'betas', got .*; its options are lr, max_i"),
}


@pytest.mark.parametrize("name", BAD_OPTIONS)
def test_options_that_are_none_are_refused(name: str) -> None:
    options, text = BAD_OPTIONS[name]
    with pytest.raises((TypeError, ValueError), match=text):
        gs.LBFGS(np.ones(2), **options)


def test_options_are_attributes() -> None:
    opt = gs.LBFGS(np.ones(2), max_iter=8)
    assert (opt.lr, opt.max_iter, opt.max_eval, opt.history_size) == (1.0, 8, 10, 100)
    opt.max_iter = 3
    assert opt.max_iter == 3
    with pytest.raises(ValueError, match="max_iter must be an integer ≥ 1, got 0"):
        opt.max_iter = 0
    with pytest.raises(AttributeError, match="has no attribute 'momentum' to set; its options are"):
        opt.momentum = 1  # type: ignore[attr-defined]
    assert repr(opt).startswith("LBFGS(lr=1.0, max_iter=3, max_eval=10, tolerance_grad=1e-07")
    assert repr(opt).endswith("maximize=False; 1 tensors, 2 elements, 0 pairs)")


@pytest.mark.parametrize(
    ("params", "text"),
    [
        (np.ones(2, np.float16), "parameter '0' has dtype float16; expected float32 or float64"),
        ([{"params": np.ones(2)}], "params is a list of groups; LBFGS has one set of options"),
        ([], "params holds no parameters"),
        ([[1.0]], "parameter '0' is a list of numbers"),
    ],
)
def test_parameters_that_are_none_are_refused(params: Any, text: str) -> None:
    with pytest.raises((TypeError, ValueError), match=text):
        gs.LBFGS(params)
    shared = np.ones(3)
    with pytest.raises(ValueError, match="are the same array"):
        gs.LBFGS([shared, shared])


def test_the_history_can_be_shortened(backend: str) -> None:
    run = Run()
    run.step()
    run.step()
    assert len(run.opt.state_dict()["history"]) == 5
    run.opt.history_size = 2
    run.step()
    assert len(run.opt.state_dict()["history"]) == 2


def test_memory_is_allocated_once(backend: str) -> None:
    run = Run(tolerance_change=0.0, tolerance_grad=0.0)
    for _ in range(3):
        run.step()
    count = len(run.opt._space)
    for _ in range(5):
        run.step()
    assert len(run.opt._space) == count <= 2 * (5 + 4) + 9


def test_a_closure_and_a_callback_are_functions() -> None:
    opt = gs.LBFGS(np.ones(2))
    with pytest.raises(TypeError, match=r"closure must be a function that returns \(loss, grads\)"):
        opt.step(np.ones(2))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="callback must be a function of"):
        opt.step(lambda: (0.0, np.ones(2)), callback=1)  # type: ignore[arg-type]


def test_other_arrays_in_the_parameters_place_are_found() -> None:
    run = Run()
    run.opt.check(run.params)
    with pytest.raises(
        ValueError, match="parameter 'w' is not the array that the optimizer trains"
    ):
        run.opt.check(run.params | {"w": run.params["w"].copy()})
    with pytest.raises(
        ValueError, match=r"params must hold what the optimizer trains, \['w', 'b'\]"
    ):
        run.opt.check({"w": run.params["w"]})
