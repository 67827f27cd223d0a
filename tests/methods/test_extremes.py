"""First steps, zeros, and gradients at both ends of the number range."""

from __future__ import annotations

import numpy as np
import pytest

import gradstep as gs
from gradstep.reference import RULES
from tests.spec import Spec, Variant
from tests.specs import CASE_IDS, CASES

pytestmark = pytest.mark.usefixtures("backend")

BY_CASE = pytest.mark.parametrize(("spec", "variant"), CASES, ids=CASE_IDS)
# Where a gradient's square overflows, these subtract or divide two infinities. The others divide by
# one: their step is 0.
CENTERED = {name for name in RULES if name.startswith("rmsprop_centered")}
UNDEFINED_ON_OVERFLOW = {"ftrl", "adafactor"} | CENTERED


@BY_CASE
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_zero_gradients_move_nothing(spec: Spec, variant: Variant, dtype: str) -> None:
    start = np.array([-2.0, -1e-30, 0.0, 1e-30, 2.0], dtype)
    params = start.copy()
    options = {**variant.options, "weight_decay": 0.0}
    if spec.cls is gs.ASGD:
        options["lambd"] = 0.0
    opt = spec.cls(params, **options)
    for _ in range(3):
        opt.step(np.zeros_like(params))
    if spec.cls is gs.FTRL:  # parameters are a function of the gradients alone
        assert not params.any()
    elif spec.cls is gs.Yogi:  # averages start from 1e-6
        np.testing.assert_allclose(params, start, atol=1e-4)
    else:
        np.testing.assert_array_equal(params, start)


@BY_CASE
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [1e30, 1e-30, 1e-40])
def test_huge_and_tiny_gradients_stay_finite(
    spec: Spec, variant: Variant, dtype: str, size: float
) -> None:
    if size == 1e30 and dtype == "float32" and variant.rule in UNDEFINED_ON_OVERFLOW:
        pytest.skip("the square of 1e30 is infinite in float32, and this equation then undefined")
    params = np.ones(4, dtype)
    opt = spec.cls(params, **variant.options)
    for _ in range(3):
        opt.step(np.array([size, -size, 0.0, 1.0], dtype))
    assert np.isfinite(params).all()


@BY_CASE
def test_the_first_step_goes_down(spec: Spec, variant: Variant) -> None:
    params = np.zeros(3)
    opt = spec.cls(params, **{**variant.options, "maximize": False})
    for _ in range(2 if spec.cls is gs.ADOPT else 1):  # ADOPT's first step only looks
        opt.step(np.array([1.0, -1.0, 0.5]))
    if variant.options.get("l1", 0.0) >= 1.0:
        assert not params.any()  # within the penalty
    else:
        np.testing.assert_array_equal(np.sign(params[:2]), [-1.0, 1.0])


def test_unknown_and_inapplicable_options_name_those_that_apply() -> None:
    with pytest.raises(TypeError, match="Lion has no option 'amsgrad'; its options are lr, betas"):
        gs.Lion(np.zeros(1), amsgrad=True)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="Rprop has no option 'cautious'; its options are lr, etas"):
        gs.Rprop(np.zeros(1), cautious=True)  # type: ignore[call-arg]
    for cls in (gs.SGD, gs.RMSprop, gs.SignSGD):
        with pytest.raises(ValueError, match="cautious=True needs momentum"):
            cls(np.zeros(1), lr=0.1, cautious=True)
    with pytest.raises(ValueError, match="nesterov=True needs momentum > 0"):
        gs.RMSprop(np.zeros(1), nesterov=True)
    with pytest.raises(ValueError, match="lr_in_velocity=True needs momentum > 0"):
        gs.RMSprop(np.zeros(1), lr_in_velocity=True)


def test_exponents_beyond_all_floats_are_limits_that_are_reached() -> None:
    w, v, plain = np.ones((3, 2))
    stopped = gs.ASGD(w, lr=0.1, alpha=1e308)
    unlimited = gs.ADOPT(v, lr=0.1, clip_exponent=1e308)
    never = gs.ADOPT(plain, lr=0.1, clip_exponent=None)
    for step in range(3):
        after_first = w.copy()
        for opt in (stopped, unlimited, never):
            opt.step(np.full(2, 0.5 + step))
        if step:
            np.testing.assert_array_equal(w, after_first)
    np.testing.assert_array_equal(v, plain)
