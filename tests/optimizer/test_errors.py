"""What bad input gets: an error that names the parameter and the way out, and nothing changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from tests.helpers import Array, assert_same_bits, everything

pytestmark = pytest.mark.usefixtures("backend")


def zeros(*shape: int, dtype: str = "float32") -> Array:
    return np.zeros(shape, dtype)


def read_only() -> Array:
    array = zeros(3)
    array.flags.writeable = False
    return array


def same_twice() -> list[Array]:
    array = zeros(3)
    return [array, array]


def overlapping() -> dict[str, Array]:
    array = zeros(10)
    return {"head": array[:6], "tail": array[5:]}


BAD_PARAMS: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "nothing": (list, ValueError, "params holds no parameters"),
    "float": (lambda: 1.0, TypeError, r"parameter '0' is a float; expected a writeable"),
    "list of floats": (lambda: {"w": [1.0, 2.0]}, TypeError, "parameter 'w' is a list of numbers"),
    "masked": (lambda: np.ma.zeros(3, "f"), TypeError, "parameter '0' is a MaskedArray"),
    "integers": (lambda: {"w": np.zeros(3, int)}, TypeError, r"'w' has dtype int64.*astype"),
    "complex": (lambda: [np.zeros(3, "F")], TypeError, "'0' has dtype complex64"),
    "byte-swapped": (lambda: [np.zeros(3, ">f4")], TypeError, "'0' has byte-swapped dtype '>f4'"),
    "read-only": (lambda: [read_only()], ValueError, r"'0' is read-only.*x\.copy\(\)"),
    "strided": (lambda: [zeros(8)[::2]], ValueError, r"'0' is not contiguous.* x = x\.copy\(\)"),
    "same twice": (same_twice, ValueError, "'0' and '1' are the same array"),
    "overlap": (overlapping, ValueError, "'head' and 'tail' overlap in memory"),
    "same name": (lambda: {1: zeros(1), "1": zeros(1)}, ValueError, "both named '1'"),
    "half a group": (
        lambda: [{"params": zeros(1)}, {"parms": zeros(1)}],
        TypeError,
        r"groups\[1\] has no 'params'",
    ),
    "same name in two groups": (
        lambda: [{"params": {"w": zeros(1)}}, {"params": {"w": zeros(1)}}],
        ValueError,
        "two groups have a parameter named 'w'",
    ),
    "unknown group option": (
        lambda: [{"params": zeros(1), "learning_rate": 1.0}],
        TypeError,
        r"Adam has no option 'learning_rate'; its options are lr, betas",
    ),
}


@pytest.mark.parametrize("case", BAD_PARAMS)
def test_bad_parameters(case: str) -> None:
    make, error, text = BAD_PARAMS[case]
    with pytest.raises(error, match=text):
        gs.Adam(make())


BAD_HYPER: dict[str, tuple[type[gs.Optimizer], dict[str, Any], type[Exception], str]] = {
    "negative lr": (gs.SGD, {"lr": -0.1}, ValueError, r"lr must be a finite number ≥ 0.*got -0\.1"),
    "nan lr": (gs.SGD, {"lr": np.nan}, ValueError, "lr must be .*got nan"),
    "infinite lr": (gs.SGD, {"lr": np.inf}, ValueError, "lr must be .*got inf"),
    "text lr": (gs.SGD, {"lr": "fast"}, TypeError, "lr must be .*got 'fast'"),
    "boolean lr": (gs.SGD, {"lr": True}, TypeError, "lr must be .*got True"),
    "huge lr": (gs.SGD, {"lr": 10**400}, ValueError, "lr must be a finite number .*got inf"),
    "no lr": (gs.SGD, {"lr": None}, TypeError, "lr must be .*got None"),
    "momentum of 1": (gs.SGD, {"momentum": 1.0}, ValueError, r"momentum must be .*in \[0, 1\)"),
    "nesterov alone": (gs.SGD, {"nesterov": True}, ValueError, "nesterov=True needs momentum > 0"),
    "velocity alone": (gs.SGD, {"lr_in_velocity": True}, ValueError, "lr_in_velocity=True needs"),
    "damped nesterov": (
        gs.SGD,
        {"momentum": 0.9, "dampening": 0.1, "nesterov": True},
        ValueError,
        "needs momentum > 0 and dampening = 0",
    ),
    "beta of 1": (gs.Adam, {"betas": (0.9, 1.0)}, ValueError, r"betas\[1\] must be .*got 1\.0"),
    "one beta": (gs.Adam, {"betas": 0.9}, TypeError, "betas must be a tuple of 2 numbers, got 0.9"),
    "nan eps": (gs.Adam, {"eps": np.nan}, ValueError, "eps must be"),
    "amsgrad as 1": (gs.Adam, {"amsgrad": 1}, TypeError, "amsgrad must be True or False, got 1"),
    "no clip": (gs.Adam, {"clip_norm": 0.0}, ValueError, "clip_norm must be None, a finite numb"),
    "negative decay": (gs.Adam, {"weight_decay": -1.0}, ValueError, "weight_decay must be"),
    "negative l1": (gs.Adam, {"l1": -1.0}, ValueError, "l1 must be"),
    "ema above 1": (
        gs.Adam,
        {"ema_decay": 1.01},
        ValueError,
        "ema_decay must be None, a number in",
    ),
    "unknown": (gs.Adam, {"momentum": 0.9}, TypeError, "Adam has no option 'momentum'; its opt"),
}


@pytest.mark.parametrize("case", BAD_HYPER)
def test_bad_hyperparameters(case: str) -> None:
    cls, options, error, text = BAD_HYPER[case]
    with pytest.raises(error, match=text):
        cls(zeros(3), **options)


def test_bad_changes_of_hyperparameters_change_nothing() -> None:
    opt = gs.SGD([{"params": zeros(1)}, {"params": zeros(1), "momentum": 0.9}], lr=0.1)
    with pytest.raises(ValueError, match="lr must be"):
        opt.lr = -1.0
    # Legal in the second group only.
    with pytest.raises(ValueError, match="nesterov=True needs momentum"):
        opt.nesterov = True
    assert [group["nesterov"] for group in opt.groups] == [False, False]
    with pytest.raises(KeyError, match="'beta' is not a hyperparameter; these are: lr, momentum"):
        opt.groups[0]["beta"] = 0.9
    with pytest.raises(TypeError, match="cannot be deleted"):
        del opt.groups[0]["lr"]
    with pytest.raises(AttributeError, match="momentum differs between groups"):
        _ = opt.momentum
    assert opt.lr == 0.1


def opt_on(params: Any) -> gs.Optimizer:
    return gs.AdamW(params, lr=0.1, clip_norm=1.0, ema_decay=0.9)


def good() -> dict[str, Any]:
    return {"w": np.ones((2, 3), np.float32), "b": np.ones(3, np.float32)}


BAD_GRADS: dict[str, tuple[Any, type[Exception], str]] = {
    "not a dict": ([1, 2], TypeError, "grads must be a dict with the keys 'w', 'b'.*got a list"),
    "missing": ({"w": zeros(2, 3)}, ValueError, "grads has no entry for 'b'"),
    "extra": (good() | {"c": zeros(1)}, ValueError, "entries that are not parameters: 'c'"),
    "other name": (
        {"w": zeros(2, 3), "c": zeros(3)},
        ValueError,
        "grads has no entry for 'b'.*Give None",
    ),
    "shape": (good() | {"b": zeros(4)}, ValueError, r"'b' has shape \(4,\); expected \(3,\)"),
    "transposed": (good() | {"w": zeros(3, 2)}, ValueError, r"It is transposed: pass g\.T"),
    "broadcastable": (good() | {"w": zeros(3)}, ValueError, r"'w' has shape \(3,\); expected"),
    "float": (good() | {"b": 0.0}, TypeError, "gradient 'b' is a float; expected an array"),
    "list": (good() | {"b": [0.0] * 3}, TypeError, "gradient 'b' is a list; expected an array"),
    "integers": (good() | {"b": np.zeros(3, int)}, TypeError, "gradient 'b' has dtype int64"),
    "complex": (good() | {"b": np.zeros(3, complex)}, TypeError, "'b' has dtype complex128"),
    "long double": (good() | {"b": np.zeros(3, "g")}, TypeError, "'b' has dtype"),
    "masked": (good() | {"b": np.ma.zeros(3)}, TypeError, "gradient 'b' is a masked array"),
    "text": (good() | {"b": "zero"}, TypeError, "gradient 'b' is a str"),
}


@pytest.mark.parametrize("case", BAD_GRADS)
def test_bad_gradients_change_nothing(case: str) -> None:
    grads, error, text = BAD_GRADS[case]
    opt = opt_on(good())
    opt.step(good())
    before = everything(opt)
    with pytest.raises(error, match=text):
        opt.step(grads)
    assert_same_bits(everything(opt), before)
    assert opt.steps == 1
    opt.step(good())  # and it goes on working
    assert opt.steps == 2


@pytest.mark.parametrize("slot", ["parameter", "exp_avg", "ema", "part", "reversed"])
def test_a_gradient_in_the_optimizers_own_memory_is_refused(slot: str) -> None:
    store = np.ones(30, np.float32)
    params = {"w": store[:10], "b": store[20:]}
    opt = gs.Adam(params, ema_decay=0.9)
    before = everything(opt)
    bad = {
        "parameter": params["b"],
        "exp_avg": opt.state["w"]["exp_avg"],
        "ema": opt.ema["b"],
        "part": store[5:15],
        "reversed": store[9::-1],
    }[slot]
    with pytest.raises(ValueError, match=r"gradient 'w' shares memory .*g\.copy\(\)"):
        opt.step({"w": bad, "b": np.ones(10, np.float32)})
    assert_same_bits(everything(opt), before)
    opt.step({"w": store[10:20], "b": np.ones(10, np.float32)})


def test_a_parameter_changed_behind_the_optimizers_back_is_refused() -> None:
    params = good()
    opt = gs.SGD(params, lr=0.1)
    params["b"].flags.writeable = False
    with pytest.raises(ValueError, match="parameter 'b' is no longer the writeable array"):
        opt.step(good())
    np.testing.assert_array_equal(params["w"], good()["w"])
    params["b"].flags.writeable = True
    opt.step(good())


def test_a_parameter_resized_behind_the_optimizers_back_is_refused() -> None:
    param = np.ones(1000, np.float32)
    opt = gs.SGD(param, lr=0.1)
    param.resize(10, refcheck=False)
    with pytest.raises(ValueError, match=r"is no longer the writeable array .*shape"):
        opt.step(np.ones(10, np.float32))
    np.testing.assert_array_equal(param, np.ones(10))
    param.resize(1000, refcheck=False)


@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan, np.inf, 10**400])
def test_bad_grad_scale(scale: float) -> None:
    opt = opt_on(good())
    before = everything(opt)
    with pytest.raises(ValueError, match="grad_scale must be a finite number > 0"):
        opt.step(good(), grad_scale=scale)
    with pytest.raises(TypeError, match="grad_scale must be a finite number"):
        opt.step(good(), grad_scale="1")  # type: ignore[arg-type]
    assert_same_bits(everything(opt), before)


def test_bad_schedule_values_are_found_at_the_step() -> None:
    opt = gs.SGD(good(), lr=lambda step: 0.1 - 0.1 * step)
    opt.step(good())
    opt.step(good())
    before = everything(opt)
    with pytest.raises(ValueError, match=r"lr must be .*got -0\.1 from its schedule at step 2"):
        opt.step(good())
    assert_same_bits(everything(opt), before)
    opt.lr = lambda step: 10**400
    with pytest.raises(ValueError, match=r"lr must be .*got inf from its schedule at step 2"):
        opt.step(good())
    opt.lr = lambda step: "fast"
    with pytest.raises(TypeError, match="got 'fast'"):
        opt.step(good())


def test_bad_groups_of_gradients() -> None:
    opt = gs.SGD([{"params": {"w": zeros(2)}}, {"params": {"b": zeros(2)}}], lr=0.1)
    with pytest.raises(ValueError, match=r"one entry for each of the 2 groups.*got 1 entries"):
        opt.step([{"w": zeros(2)}])
    with pytest.raises(TypeError, match="or one flat dict by name; got a ndarray"):
        opt.step(zeros(2))
    with pytest.raises(ValueError, match="grads has no entry for 'b'"):
        opt.step({"w": zeros(2)})
    nested = gs.SGD({"layers": [zeros(2), zeros(2)]}, lr=0.1)
    with pytest.raises(ValueError, match=r"the gradients of 'layers' must be a list of 2.*got 1"):
        nested.step({"layers": [zeros(2)]})
    with pytest.raises(
        TypeError, match=r"the gradients of 'layers' must be a list of 2.*a ndarray"
    ):
        nested.step({"layers": zeros(2)})
    with pytest.raises(TypeError, match="gradient '0' is a list"):
        gs.SGD(zeros(2), lr=0.1).step([zeros(2)])


def test_a_failed_add_group_changes_nothing() -> None:
    params = good()
    opt = gs.SGD(params, lr=0.1)
    with pytest.raises(ValueError, match="are the same array"):
        opt.add_group({"params": {"again": params["w"]}})
    with pytest.raises(TypeError, match='group must be a dict with an entry "params"'):
        opt.add_group({"lr": 0.1})
    with pytest.raises(ValueError, match="lr must be"):
        opt.add_group({"params": {"c": zeros(1)}, "lr": -1.0})
    assert list(opt.params) == ["w", "b"]
    assert len(opt.groups) == 1
    opt.step(good())
