"""Whatever a closure does, parameters are afterwards as before, or as after the step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from tests.around.sharp import BOTH, KINDS, loss_of, problem
from tests.helpers import Array, assert_same_bits, everything

pytestmark = pytest.mark.usefixtures("backend")


class Stop(BaseException):
    """As an interrupt, no Exception."""


def nth(n: int, params: dict[str, Array], act: Callable[[Any], Any]) -> Callable[[], Any]:
    """A closure with another result the n-th time."""
    calls = []

    def closure() -> Any:
        calls.append(1)
        result = loss_of(params)
        return act(result) if len(calls) == n else result

    return closure


def throw(error: BaseException) -> Callable[[Any], Any]:
    def act(result: Any) -> Any:
        raise error

    return act


def poisoned(result: Any) -> Any:
    result[1]["b"][3] = np.nan
    return result


RAISES: dict[str, tuple[Callable[[Any], Any], type[BaseException], str]] = {
    "an error": (throw(KeyError("mine")), KeyError, "mine"),
    "an interrupt": (throw(KeyboardInterrupt("stop")), KeyboardInterrupt, "stop"),
    "an exit": (throw(Stop("now")), Stop, "now"),
    "no tuple": (lambda r: r[0], TypeError, r"closure must return \(loss, grads\)"),
    "no number": (
        lambda r: ("low", r[1]),
        TypeError,
        "the loss that closure returns must be a number, got 'low'",
    ),
    "a list": (lambda r: (r[0], [1]), TypeError, "grads must be a dict with the keys 'W', 'b'"),
    "a key less": (
        lambda r: (r[0], {"W": r[1]["W"]}),
        ValueError,
        "grads has no entry for 'b', 's', 'none', 'F'",
    ),
    "a shape": (
        lambda r: (r[0], r[1] | {"b": np.ones(3)}),
        ValueError,
        r"gradient 'b' has shape \(3,\); expected \(30,\)",
    ),
}


@BOTH
@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("what", RAISES)
def test_whatever_a_closure_does_parameters_are_as_before(kind: str, n: int, what: str) -> None:
    params = problem()
    opt = KINDS[kind](gs.AdamW(params, lr=0.1))
    opt.step(lambda: loss_of(params))
    before = everything(opt)
    act, error, match = RAISES[what]
    with pytest.raises(error, match=match):
        opt.step(nth(n, params, act))
    assert_same_bits(everything(opt), before)
    assert opt.steps == 1
    assert not opt.step(lambda: loss_of(params)).skipped


@BOTH
@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("what", [lambda r: (np.nan, r[1]), lambda r: (np.inf, r[1]), poisoned])
def test_what_is_not_finite_is_skipped(kind: str, n: int, what: Callable[[Any], Any]) -> None:
    params = problem()
    opt = KINDS[kind](gs.AdamW(params, lr=0.1))
    opt.step(lambda: loss_of(params))
    before = everything(opt)
    assert opt.step(nth(n, params, what)).skipped
    assert_same_bits(everything(opt), before)
    assert opt.steps == 1


def test_gradients_of_other_parameters_the_second_time_are_an_error() -> None:
    params = problem()
    opt = gs.SAM(gs.AdamW(params))
    before = everything(opt)
    with pytest.raises(ValueError, match=r"for the same parameters both times.*\['b'\] had one"):
        opt.step(nth(1, params, lambda r: (r[0], r[1] | {"b": None})))
    assert_same_bits(everything(opt), before)


@BOTH
def test_a_closure_may_not_step_nor_load(kind: str) -> None:
    w = np.ones(2)
    inner = gs.SGD(w)
    opt = KINDS[kind](inner)
    acts: list[Callable[[], Any]] = [
        lambda: opt.step(closure),
        lambda: inner.step(np.ones(2)),
        lambda: inner.load_state_dict(inner.state_dict()),
        lambda: opt.add_group({"params": [np.ones(1)]}),
    ]
    calls: list[int] = []

    def closure() -> Any:
        for act in acts:
            with pytest.raises(RuntimeError, match=rf"busy with {kind}.step\(\)"):
                act()
        calls.append(1)
        return 1.0, np.ones(2)

    opt.step(closure)
    assert len(calls) == 2


def test_what_would_be_lost_is_refused() -> None:
    params = problem()
    opt, stopping = gs.SAM(gs.SGD(params)), gs.EarlyStopping()
    stopping.update(1.0, params)
    before = everything(opt)

    def restore(result: Any) -> Any:
        stopping.restore(params)

    with pytest.raises(RuntimeError, match=r"for the time of SAM.step\(\)"):
        opt.step(nth(2, params, restore))
    assert_same_bits(everything(opt), before)


def test_a_closure_cannot_take_the_parameters_memory_away() -> None:
    w = np.ones(100_000)
    opt = gs.SAM(gs.SGD(w, lr=0.5))
    calls = []

    def closure() -> Any:
        calls.append(1)
        if len(calls) == 2:
            with pytest.raises(ValueError, match="resize"):
                w.resize(200_000, refcheck=False)
            w.flags.writeable = False
        return 1.0, np.ones(100_000)

    with pytest.raises(ValueError, match=r"read-only|no longer the writeable"):
        opt.step(closure)
    np.testing.assert_array_equal(w, 1.0)
