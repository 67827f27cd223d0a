"""What rounding draws is the same wherever and in whatever order it runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from tests.gradient_forms import bfloat16
from tests.helpers import Array, assert_same_bits
from tests.narrow import needs_bfloat16, raw

Arrays = dict[str, Array]
# The dtype of parameters, and options, of what is rounded by draws.
HOW: dict[str, tuple[Any, dict[str, Any]]] = {
    "float16": ("float16", {"rounding": "stochastic"}),
    "bfloat16": (bfloat16, {"rounding": "stochastic", "state_dtype": "bfloat16"}),
    "state bfloat16": ("float32", {"state_dtype": "bfloat16"}),
    "state float16": ("float32", {"state_dtype": "float16"}),
    "state 8bit": ("float32", {"state_dtype": "8bit"}),
    "averages": ("float32", {"ema_dtype": "bfloat16", "ema_decay": 0.9}),
}
CASES = [pytest.param(n, marks=needs_bfloat16 if n == "bfloat16" else ()) for n in HOW]


def params_of(how: str) -> Arrays:
    rng = np.random.default_rng(0)
    shapes = {"a": (300, 70), "b": (5000,), "c": (), "d": (6, 7, 8)}
    return {name: rng.normal(size=shape).astype(HOW[how][0]) for name, shape in shapes.items()}


def grads_of(params: Arrays, step: int) -> Arrays:
    rng = np.random.default_rng(step)
    grads = {name: rng.normal(size=like.shape) for name, like in params_of("float16").items()}
    return {name: grads[name] for name in params}


def optimizer(how: str, params: Arrays, seed: int = 5) -> gs.Optimizer:
    return gs.SGD(params, lr=0.01, momentum=0.9, seed=seed, **HOW[how][1])


def trained(how: str, params: Arrays) -> Arrays:
    """All that steps have changed."""
    opt = optimizer(how, params)
    for step in range(3):
        opt.step(grads_of(params, step))
    return raw(opt)


def assert_same(actual: Arrays, expected: Arrays) -> None:
    assert_same_bits(actual, {name: expected[name] for name in actual})


@pytest.mark.parametrize("how", CASES)
@pytest.mark.usefixtures("native", "low_threshold")
def test_threads_and_instruction_sets_draw_the_same(how: str) -> None:
    with gs.runtime.set_backend("numpy"):
        expected = trained(how, params_of(how))
    for isa in gs.runtime.available_isas():
        for threads in (1, 2, 7):
            with gs.runtime.set_isa(isa), gs.runtime.set_num_threads(threads):
                assert_same_bits(trained(how, params_of(how)), expected)


def in_fortran_order(params: Arrays) -> Arrays:
    return {name: np.array(param, order="F") for name, param in params.items()}


def in_reverse(params: Arrays) -> Arrays:
    return dict(reversed(params.items()))


def alone(params: Arrays) -> Arrays:
    return {"b": params["b"]}


@pytest.mark.parametrize("arranged", [in_fortran_order, in_reverse, alone])
@pytest.mark.parametrize("how", CASES)
@pytest.mark.usefixtures("backend")
def test_draws_go_by_name_and_index(how: str, arranged: Callable[[Arrays], Arrays]) -> None:
    """But for 8 bits, whose blocks are of elements that lie beside each other in memory."""
    given = arranged(params_of(how))
    if how == "state 8bit" and arranged is in_fortran_order:
        given["a"] = params_of(how)["a"]
    assert_same(trained(how, given), trained(how, params_of(how)))


@pytest.mark.parametrize("how", CASES)
@pytest.mark.usefixtures("backend")
def test_draws_go_by_the_tensors_own_steps(how: str) -> None:
    late = {"b": params_of(how)["b"]}
    opt = optimizer(how, late)
    opt.step({"b": None})
    for step in range(3):
        opt.step(grads_of(late, step))
    assert_same(raw(opt), trained(how, {"b": params_of(how)["b"]}))


@pytest.mark.parametrize("how", CASES)
@pytest.mark.usefixtures("backend")
def test_a_checkpoint_goes_on_with_the_same_draws(how: str) -> None:
    params = params_of(how)
    opt = optimizer(how, params)
    for step in range(3):
        opt.step(grads_of(params, step))
    state, kept = opt.state_dict(), {name: param.copy() for name, param in params.items()}
    again = optimizer(how, kept, seed=99)
    again.load_state_dict(state)
    assert again.seed == 5
    other = optimizer(how, {name: param.copy() for name, param in params.items()})
    other.load_state_dict(state)
    other.seed = 99
    for step in range(3, 6):
        for one in (opt, again, other):
            one.step(grads_of(params, step))
    assert_same_bits(raw(again), raw(opt))
    differing = [name for name, array in raw(other).items() if (array != raw(opt)[name]).any()]
    assert differing
