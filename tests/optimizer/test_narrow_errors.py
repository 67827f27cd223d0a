"""Formats that do not go together: an error that names them and the way out, nothing changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from gradstep.reference import RULES
from tests.gradient_forms import bfloat16
from tests.helpers import assert_same_bits, everything
from tests.narrow import IN_FLOAT16, NOT_IN_8BIT, needs_bfloat16, packed
from tests.specs import CASE_IDS, CASES

pytestmark = pytest.mark.usefixtures("backend")


def params(dtype: Any = "float32") -> dict[str, Any]:
    return {"w": np.ones(5000, dtype)}


Refusal = tuple[Any, dict[str, Any], type[Exception], str]

# The parameters' dtype, the options, and the whole message.
UNLIKE_PARAMS: dict[str, Refusal] = {
    f"{rounding} {dtype}": (
        dtype,
        {"rounding": rounding},
        ValueError,
        f"rounding='{rounding}' is for parameters in bfloat16 or float16, and 'w' is {dtype}, "
        "which a step does not round; leave rounding out, or give it for a group of its own",
    )
    for rounding in ("stochastic", "kahan", "split")
    for dtype in ("float32", "float64")
}
UNLIKE_PARAMS |= {
    f"{option} {value}": (
        "float64",
        {option: value},
        ValueError,
        f"{option}='{value}' is for parameters of at most 32 bits, and 'w' is float64; "
        f"leave {option} out, or give it for a group of its own",
    )
    for option in ("state_dtype", "ema_dtype")
    for value in ("bfloat16", "float32")
}
UNLIKE_PARAMS["split float16"] = (
    "float16",
    {"rounding": "split"},
    ValueError,
    "rounding='split' is for bfloat16 parameters, which are the upper half of a float32; "
    "'w' is float16: use rounding='kahan' or 'stochastic'",
)

IN_SQUARES = (
    "state_dtype='float16' cannot hold 'exp_avg_sq', squares below 6e-8 among it; use 'bfloat16', "
    "which has float32's range, or '8bit', which is relative"
)
ROUNDINGS = 'rounding must be "nearest", "stochastic", "kahan" or "split", got '
STATES = 'state_dtype must be None, "float32", "bfloat16", "float16", "8bit" or "param", got '
AVERAGES = 'ema_dtype must be None, "float32", "bfloat16" or "float16", got '
SEEDS = "seed must be an int in [0, 2**63), got "

NEVER: dict[str, Refusal] = {
    "squares": ("float32", {"state_dtype": "float16"}, ValueError, IN_SQUARES),
    "squares, float16": ("float16", {"state_dtype": "float16"}, ValueError, IN_SQUARES),
    "rounding": ("float16", {"rounding": "up"}, ValueError, ROUNDINGS + "'up'"),
    "no rounding": ("float16", {"rounding": None}, TypeError, ROUNDINGS + "None"),
    "state": ("float32", {"state_dtype": "int8"}, ValueError, STATES + "'int8'"),
    "a dtype": (
        "float32",
        {"state_dtype": np.float32},
        TypeError,
        STATES + "<class 'numpy.float32'>",
    ),
    "average": ("float32", {"ema_dtype": "8bit"}, ValueError, AVERAGES + "'8bit'"),
    "negative seed": ("float16", {"seed": -1}, ValueError, SEEDS + "-1"),
    "large seed": ("float16", {"seed": 2**63}, ValueError, SEEDS + str(2**63)),
    "float seed": ("float16", {"seed": 1.0}, TypeError, SEEDS + "1.0"),
    "flag as seed": ("float16", {"seed": True}, TypeError, SEEDS + "True"),
    "no seed": ("float16", {"seed": None}, TypeError, SEEDS + "None"),
}
REFUSALS = {**UNLIKE_PARAMS, **NEVER}


def assert_refused(act: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        act()
    assert str(caught.value) == message


@pytest.mark.parametrize("case", REFUSALS)
def test_what_does_not_go_together_is_refused(case: str) -> None:
    dtype, options, error, message = REFUSALS[case]
    given = params(dtype)
    assert_refused(lambda: gs.AdamW(given, **options), error, message)
    np.testing.assert_array_equal(given["w"], 1)
    gs.AdamW(given)  # which is free to be trained


@pytest.mark.parametrize("case", REFUSALS)
def test_a_group_that_does_not_is_not_added(case: str) -> None:
    dtype, options, error, message = REFUSALS[case]
    opt = gs.AdamW({"v": np.ones(3, "float32")})
    before = everything(opt)
    assert_refused(lambda: opt.add_group({"params": params(dtype), **options}), error, message)
    assert len(opt.groups) == 1
    assert_same_bits(everything(opt), before)
    opt.step({"v": np.ones(3, "float32")})


@pytest.mark.parametrize("case", REFUSALS)
def test_it_cannot_be_set_either(case: str) -> None:
    dtype, options, error, message = REFUSALS[case]
    ((name, value),) = options.items()
    opt = gs.AdamW(params(dtype), ema_decay=0.9)
    opt.step(params(dtype))
    before, was, state = everything(opt), getattr(opt, name), dict(opt.state["w"])
    assert_refused(lambda: setattr(opt, name, value), error, message)
    assert_refused(lambda: opt.groups[0].update(lr=0.5, **options), error, message)
    assert getattr(opt, name) == was
    assert opt.lr == 1e-3
    opt.step({"w": None})
    assert_same_bits(everything(opt), before)
    for slot, array in opt.state["w"].items():
        assert state[slot] is array
    opt.step(params(dtype))


NOT_DEFAULT = [case for case, of in UNLIKE_PARAMS.items() if "float32" not in of[1].values()]


@pytest.mark.parametrize("case", NOT_DEFAULT)
def test_nor_can_it_come_with_a_state(case: str) -> None:
    """With convert=True the optimizer keeps its own."""
    dtype, options, _, _ = UNLIKE_PARAMS[case]
    ((name, value),) = options.items()
    opt = gs.AdamW(params(dtype))
    opt.step(params(dtype))
    before, was, state = everything(opt), getattr(opt, name), opt.state_dict()
    state["groups"][0][name] = value
    assert_refused(
        lambda: opt.load_state_dict(state),
        ValueError,
        f"state_dict has {name}={value!r} in groups[0], and this optimizer {name}={was!r}; "
        "construct it with the former, or load with convert=True to keep the latter",
    )
    opt.load_state_dict(state, convert=True)
    assert getattr(opt, name) == was
    assert_same_bits(everything(opt), before)
    opt.step(params(dtype))


def test_it_is_set_for_all_groups_or_for_none() -> None:
    groups = [{"params": {"h": np.ones(5, "float16")}}, {"params": params()}]
    opt = gs.AdamW(groups)
    _, _, error, message = UNLIKE_PARAMS["kahan float32"]
    assert_refused(lambda: setattr(opt, "rounding", "kahan"), error, message)
    assert [group["rounding"] for group in opt.groups] == ["nearest", "nearest"]
    opt.groups[0]["rounding"] = "kahan"
    opt.step({"h": np.ones(5), **params()})
    assert set(opt.state["h"]) == {"compensation", "exp_avg", "exp_avg_sq"}


@pytest.mark.parametrize("state_dtype", ["bfloat16", "8bit"])
def test_narrow_state_does_not_make_the_rounding_of_float32_parameters(state_dtype: str) -> None:
    """It is dithered as it is."""
    opt = gs.AdamW(params(), state_dtype=state_dtype, ema_dtype="bfloat16", ema_decay=0.5)
    _, _, error, message = UNLIKE_PARAMS["stochastic float32"]
    assert_refused(lambda: setattr(opt, "rounding", "stochastic"), error, message)
    assert opt.rounding == "nearest"
    opt.step(params())


@pytest.mark.parametrize("state_dtype", ["8bit", "float16"])
@pytest.mark.parametrize(("spec", "variant"), CASES, ids=CASE_IDS)
def test_state_that_a_format_cannot_hold(spec: Any, variant: Any, state_dtype: str) -> None:
    """As `NOT_IN_8BIT` and `IN_FLOAT16` have it; the advice holds for each of them."""
    refused = (
        variant.rule in NOT_IN_8BIT if state_dtype == "8bit" else variant.rule not in IN_FLOAT16
    )
    if not refused or not RULES[variant.rule].slots:
        spec.cls(params(), **variant.options, state_dtype=state_dtype)
        return
    with pytest.raises(ValueError, match=f"^state_dtype='{state_dtype}' cannot hold ") as caught:
        spec.cls(params(), **variant.options, state_dtype=state_dtype)
    _, _, _, slot, _, *advice = str(caught.value).split("'")
    assert slot in RULES[variant.rule].slots
    dtypes = {"bfloat16": "uint16", "float32": "float32", "8bit": "uint8"}
    advised = [word for word in advice if word in dtypes]
    assert len(advised) == (1 if state_dtype == "float16" and variant.rule in NOT_IN_8BIT else 2)
    for other in advised:
        opt = spec.cls(params(), **variant.options, state_dtype=other)
        opt.step(params())
        assert opt.state["w"][slot].dtype == dtypes[other]


def test_the_advice_for_groups() -> None:
    wide, narrow = params("float64"), {"h": np.ones(5, "float16")}
    groups = [
        {"params": wide},
        {"params": narrow, "rounding": "kahan", "state_dtype": "bfloat16", "ema_dtype": "float16"},
    ]
    opt = gs.AdamW(groups, ema_decay=0.5)
    opt.step({**params("float64"), "h": np.ones(5)})
    assert opt.state["w"]["exp_avg"].dtype == np.float64
    assert opt.state["h"]["exp_avg"].dtype == np.uint16


@pytest.mark.parametrize("rounding", ["kahan", "stochastic"])
def test_the_advice_where_float16_cannot_be_split(rounding: str) -> None:
    opt = gs.AdamW(params("float16"), rounding=rounding)
    opt.step(params("float16"))
    assert (opt.params["w"] != 1).all()


@needs_bfloat16
def test_a_rule_whose_state_is_too_exact_for_8_bits_is_not_set() -> None:
    opt = gs.RMSprop(params(bfloat16), state_dtype="8bit")
    opt.step(params(bfloat16))
    before = everything(opt)
    assert_refused(
        lambda: setattr(opt, "centered", True),
        ValueError,
        "state_dtype='8bit' cannot hold 'grad_avg', in which small changes add up; use "
        "'float32' or 'bfloat16'",
    )
    assert opt.centered is False
    assert_same_bits(everything(opt), before)
    opt.groups[0].update(centered=True, state_dtype="bfloat16")
    opt.step(params(bfloat16))


def test_the_advice_where_small_changes_add_up() -> None:
    """A sum of 500 ones, in bfloat16, whose values are 2 apart from 256 on, and 4 from 512 on:
    rounded to nearest it stays at 256.

    A draw between values that are u apart has the variance u² · (1/u)·(1 − 1/u) = u − 1, which is
    3 at most below 1,024. A sum has one of 1,500, then, and the mean of those of 16 tensors, whose
    draws are independent, one of 94: 5 standard deviations are 48.
    """
    ones = {str(place): np.ones(64, "float32") for place in range(16)}
    assert packed("bfloat16", np.float32([257]))[0] == packed("bfloat16", np.float32([256]))[0]
    opt = gs.Adagrad({n: one.copy() for n, one in ones.items()}, state_dtype="bfloat16")
    for _ in range(500):
        opt.step(ones)
    sums = [opt.state_as(name, "sum").mean(dtype=np.float64) for name in ones]
    assert abs(np.mean(sums) - 500) < 48


@needs_bfloat16
@pytest.mark.parametrize("dtype", ["float8_e4m3fn", "float8_e5m2", "int4"])
def test_other_narrow_dtypes_are_no_parameters(dtype: str) -> None:
    import ml_dtypes

    given = {"w": np.ones(3, getattr(ml_dtypes, dtype))}
    with pytest.raises(TypeError, match=rf"^parameter 'w' has dtype {dtype}; expected .* bfloat16"):
        gs.AdamW(given)
    gs.AdamW({"w": given["w"].astype(np.float32)})


@pytest.mark.parametrize("seed", [0, 2**63 - 1, np.int64(7), np.uint8(7)])
def test_seeds(seed: Any) -> None:
    opt = gs.AdamW(params("float16"), rounding="stochastic", seed=seed)
    opt.step(params("float16"))
    assert opt.seed == seed
    assert type(opt.seed) is int
