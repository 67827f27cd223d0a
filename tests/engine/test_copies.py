"""Copies in half precision: the parameters rounded, with the same bits wherever they are made."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradstep as gs
from tests.gradient_forms import bfloat16
from tests.helpers import (
    Array,
    assert_rounded,
    assert_same_bits,
    awkward_params,
    everything,
    gradients,
)
from tests.specs import CASE_IDS, CASES

pytestmark = [
    pytest.mark.usefixtures("low_threshold"),
    pytest.mark.skipif(bfloat16 is None, reason="ml_dtypes is not installed"),
]

ALL = {
    "clip_norm": 0.5,
    "clip_value": 0.001,
    "weight_decay": 0.03,
    "l1": 0.05,
    "ema_decay": 0.9,
    "cautious": True,
}


def copies_of(params: dict[str, Array]) -> dict[str, Array]:
    """Of two parameters in three."""
    dtypes = (None, np.float16, bfloat16)
    return {name: p.astype(dtypes[i % 3]) for i, (name, p) in enumerate(params.items()) if i % 3}


def trained(cls: type[gs.Optimizer], options: dict[str, Any]) -> dict[str, Array]:
    """The copies' bits after some steps, which are for the rest what they are without any."""
    params = awkward_params("float32")
    alone = {name: param.copy(order="K") for name, param in params.items()}
    copies = copies_of(params)
    opt, without = cls(params, copies=copies, **options), cls(alone, **options)
    for step in range(3):
        grads: dict[str, Any] = gradients(params, step)
        grads |= {name: None for i, name in enumerate(grads) if (i + step) % 4 == 0}
        opt.step(grads, grad_scale=0.25)
        without.step(grads, grad_scale=0.25)
        assert_rounded(copies, params)
    assert_same_bits(everything(opt), everything(without))
    return {name: copy.view(np.uint16).copy() for name, copy in copies.items()}


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("case", range(len(CASES)), ids=CASE_IDS)
def test_a_step_writes_parameters_and_their_rounded_values(case: int) -> None:
    spec, variant = CASES[case]
    trained(spec.cls, variant.options)


@pytest.mark.usefixtures("native")
@pytest.mark.parametrize("threads", [1, 2, 3, 7])
@pytest.mark.parametrize("isa", gs.runtime.available_isas())
def test_with_everything_they_have_the_same_bits_everywhere(isa: str, threads: int) -> None:
    with gs.runtime.set_backend("numpy"):
        expected = trained(gs.AdamW, ALL)
    with gs.runtime.set_isa(isa), gs.runtime.set_num_threads(threads):
        assert_same_bits(trained(gs.AdamW, ALL), expected)


@pytest.mark.usefixtures("native")
@pytest.mark.parametrize("form", ["float16", "float32", bfloat16])
@pytest.mark.parametrize("state_dtype", ["bfloat16", "float16", "8bit"])
@pytest.mark.parametrize("isa", gs.runtime.available_isas())
def test_beside_state_in_any_format(isa: str, state_dtype: str, form: Any) -> None:
    """Of which steps take a block at a time, and the copy with it."""
    params = {name: param for name, param in awkward_params("float32").items() if param.size}
    copies = {name: np.empty_like(param, dtype=bfloat16) for name, param in params.items()}
    opt = gs.Lion(params, lr=0.1, copies=copies, state_dtype=state_dtype)
    with gs.runtime.set_isa(isa):
        for step in range(2):
            grads = gradients(params, step)
            opt.step({name: grad.astype(form) for name, grad in grads.items()})
            assert_rounded(copies, params)


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("state_dtype", ["bfloat16", "float16", "8bit"])
@pytest.mark.parametrize("half", ["float16", "bfloat16"])
def test_beside_narrow_state_and_gradients(half: str, state_dtype: str, order: Any) -> None:
    dtype = np.dtype(np.float16 if half == "float16" else bfloat16)
    rng = np.random.default_rng(3)
    params = {"w": np.asarray(rng.normal(size=(97, 103)).astype("float32"), order=order)}
    copies = {"w": params["w"].astype(dtype)}
    opt = gs.SGD(params, lr=0.1, momentum=0.9, state_dtype=state_dtype, copies=copies)
    for _ in range(2):
        opt.step({"w": np.asarray(rng.normal(size=(97, 103)).astype(dtype), order=order)})
        assert_rounded(copies, params)
