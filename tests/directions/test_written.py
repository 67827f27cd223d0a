"""Matrices of the state are written with the step or not at all, and no step half."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from gradstep.directions import soap
from tests.directions.problems import gradients, params
from tests.helpers import assert_same_bits, everything

pytestmark = pytest.mark.usefixtures("backend")


def begun(**options: Any) -> gs.SOAP:
    opt = gs.SOAP(params(), precondition_frequency=2, **options)
    for step in range(2):
        opt.step(gradients(dict(opt.params), step))
    return opt


def read_only(array: Any) -> Callable[[], None]:
    array.flags.writeable = False
    return partial(setattr, array.flags, "writeable", True)


def reshaped(array: Any) -> Callable[[], None]:
    shape = array.shape
    array.shape = (-1,)
    return partial(setattr, array, "shape", shape)


def of_other_type(array: Any) -> Callable[[], None]:
    dtype = array.dtype
    array.dtype = np.int32
    return partial(setattr, array, "dtype", dtype)


@pytest.mark.filterwarnings("ignore:Setting the:DeprecationWarning")
@pytest.mark.parametrize("key", ["left_factor", "left_basis", "right_factor", "right_basis"])
@pytest.mark.parametrize("change", [read_only, reshaped, of_other_type])
def test_a_matrix_that_cannot_be_written_is_an_error_that_changes_nothing(
    change: Callable[[Any], Callable[[], None]], key: str
) -> None:
    opt, twin = begun(), begun()
    before = everything(twin)
    undo = change(opt.state["square"][key])
    text = "has become read-only" if change is read_only else "is no longer the array that"
    with pytest.raises(ValueError, match=rf"^state\['square'\]\['{key}'\] {text}"):
        opt.step(gradients(dict(opt.params), 2))
    undo()
    assert_same_bits(everything(opt), before)
    for each in (opt, twin):
        each.step(gradients(dict(each.params), 2))
    assert_same_bits(everything(opt), everything(twin))
    assert opt.steps == 3


def test_a_tensor_without_a_gradient_may_be_read_only() -> None:
    opt = begun()
    read_only(opt.state["square"]["left_factor"])
    opt.step(gradients(dict(opt.params), 2) | {"square": None})
    assert opt.steps == 3


def test_made_anew_over_read_only_matrices() -> None:
    """With an average asked for meanwhile, say, all is made anew."""
    opt, twin = begun(), begun()
    undo = read_only(opt.state["square"]["left_factor"])
    opt.ema_decay = twin.ema_decay = 0.9
    with pytest.raises(ValueError, match=r"state\['square'\]\['left_factor'\] has become"):
        opt.step(gradients(dict(opt.params), 2))
    undo()
    for each in (opt, twin):
        each.step(gradients(dict(each.params), 2))
    assert_same_bits(everything(opt), everything(twin))


@pytest.mark.parametrize("at", [0, 1, 3, 9])
def test_what_fails_within_the_step_is_gone_on_with(
    at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No matrix is averaged twice."""
    opt, twin = begun(), begun()
    usual = soap.SoapDirections.changes
    fails = [MemoryError("once")]

    def once() -> None:
        if fails:
            raise fails.pop()

    def changes(self: Any, steps: Any) -> Any:
        made = usual(self, steps)
        return [*made[:at], partial(once), *made[at:]]

    with monkeypatch.context() as patch:
        patch.setattr(soap.SoapDirections, "changes", changes)
        with pytest.raises(MemoryError, match="once"):
            opt.step(gradients(dict(opt.params), 2))
    twin.step(gradients(dict(twin.params), 2))
    assert_same_bits(everything(opt), everything(twin))
    assert opt.steps == 3


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("size", [1e19, 3e19])
def test_large_gradients_are_no_warnings(size: float) -> None:
    w = np.ones((4, 4), np.float32)
    grad = np.full((4, 4), size, np.float32)
    assert gs.SOAP(w, skip_nonfinite=True).step(grad).skipped
    np.testing.assert_array_equal(w, 1.0)
    with pytest.raises(FloatingPointError, match="direction of parameter '0' is not finite"):
        gs.SOAP(w).step(grad)
    gs.Muon(w, weight_decay=0.0).step(grad)
    assert np.isfinite(w).all()
    assert (w < 1.0).all()


def test_whatever_numpy_is_told_to_raise() -> None:
    opt, twin = begun(), begun()
    grads = gradients(dict(opt.params), 2)
    grads["square"] = np.full((32, 32), 1e-30, np.float32)  # whose squares underflow
    with np.errstate(all="raise"):
        opt.step(grads)
    twin.step(grads)
    assert_same_bits(everything(opt), everything(twin))


def test_finite_directions_whose_squares_overflow_are_stepped_in() -> None:
    """Gradients whose squares underflow, over an eps that is smaller still: 5e19, about."""
    w = np.zeros(3, np.float32)
    opt = gs.SOAP(w, lr=1e-19, eps=1e-44)
    for _ in range(2):
        opt.step(np.full(3, 1e-23, np.float32))
    assert np.isfinite(w).all()
    assert (w < -1.0).all()


@pytest.mark.parametrize("eps", [0.0, 1e-7])
def test_the_direction_of_a_zero_matrix_is_zero(eps: float) -> None:
    w = np.ones((3, 4), np.float32)
    opt = gs.Muon(w, eps=eps, weight_decay=0.0)
    opt.step(np.zeros((3, 4), np.float32))
    np.testing.assert_array_equal(w, 1.0)
    assert opt.steps == 1
