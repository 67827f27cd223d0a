"""Bits: given the same direction native = reference, whatever the instruction set and threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from gradstep.directions import newton_schulz, soap
from tests.directions.problems import gradients, muon, params
from tests.helpers import Array, assert_same_bits, everything
from tests.specs_of_matrices import CASE_IDS, CASES, made

pytestmark = pytest.mark.usefixtures("native", "low_threshold")

ISAS = gs.runtime.available_isas()
DTYPES = ("float32", "float64")
SHARED: dict[str, dict[str, Any]] = {
    "none": {},
    "clip_norm": {"clip_norm": 0.5},
    "clip_tensor_norm": {"clip_tensor_norm": 0.5},
    "clip_value": {"clip_value": 0.7},
    "all": {
        "weight_decay": 0.03, "maximize": True, "clip_norm": 0.5, "clip_tensor_norm": 0.2,
        "clip_value": 0.01, "skip_nonfinite": True, "l1": 0.05, "ema_decay": 0.9,
    },
}  # fmt: skip


def train(case: int, dtype: str, options: dict[str, Any], steps: int = 4) -> dict[str, Array]:
    spec, variant = CASES[case]
    ours = params(dtype)
    opt = made(spec.cls, ours, variant.options | options)
    for step in range(steps):
        grads = gradients(ours, step)
        for i, name in enumerate(grads):
            if step and (i + step) % 3 == 0:
                grads[name] = None
        opt.step(grads, grad_scale=0.37)
    return everything(opt)


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Directions that are the same whatever they are computed of, in bits that BLAS has no part in:
    a call starts them anew."""
    rng: list[Any] = [None]

    def random(array: Array, *_: Any) -> None:
        array[...] = rng[0].normal(size=array.shape)

    def directed(self: Any, matrix: Any, *_: Any) -> None:
        random(matrix.workspaces["direction"])
        random(matrix.workspaces["rotated"])

    def start() -> None:
        rng[0] = np.random.default_rng(5)

    monkeypatch.setattr(newton_schulz.NewtonSchulz, "orthogonalize", lambda _, x, *more: random(x))
    monkeypatch.setattr(soap.SoapDirections, "_direct", directed)
    return start


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("options", SHARED)
@pytest.mark.parametrize("case", range(len(CASES)), ids=CASE_IDS)
def test_native_equals_reference_given_the_direction(
    case: int, options: str, dtype: str, isa: str, threads: int, given: Callable[[], None]
) -> None:
    given()
    with gs.runtime.set_backend("numpy"):
        expected = train(case, dtype, SHARED[options])
    given()
    with gs.runtime.set_isa(isa), gs.runtime.set_num_threads(threads):
        assert_same_bits(train(case, dtype, SHARED[options]), expected)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("options", SHARED)
@pytest.mark.parametrize("case", range(len(CASES)), ids=CASE_IDS)
def test_with_the_same_blas_they_are_equal_altogether(case: int, options: str, isa: str) -> None:
    """Of matrices so small that BLAS has one thread for them."""
    with gs.runtime.set_backend("numpy"):
        expected = train(case, "float32", SHARED[options])
    with gs.runtime.set_isa(isa), gs.runtime.set_num_threads(3):
        assert_same_bits(train(case, "float32", SHARED[options]), expected)


@pytest.mark.parametrize("storage", ["bfloat16", "float16", "8bit"])
@pytest.mark.parametrize("case", range(len(CASES)), ids=CASE_IDS)
def test_narrow_state_native_equals_reference(case: int, storage: str) -> None:
    if storage == "float16" and CASES[case][0].cls is gs.SOAP:
        pytest.skip("squares are too small for float16")

    def run() -> dict[str, Array]:
        spec, variant = CASES[case]
        rng = np.random.default_rng(0)
        ours = {"w": rng.normal(size=(70, 90)).astype(np.float16)}
        how = {"state_dtype": storage, "rounding": "stochastic", "ema_decay": 0.9}
        opt = made(spec.cls, ours, variant.options | how)
        for step in range(4):
            opt.step(gradients(ours, step))
        return everything(opt)

    with gs.runtime.set_backend("numpy"):
        expected = run()
    assert_same_bits(run(), expected)


def test_muon_and_adamw_share_one_norm() -> None:
    ours = params()
    opt = muon(ours, lr=0.02, clip_norm=0.5)
    grads = gradients(ours, 0)
    norm = opt.step(grads).grad_norm
    assert norm is not None
    assert norm == pytest.approx(np.sqrt(sum(np.sum(np.square(g)) for g in grads.values())))
    scaled = params()
    twin = muon(scaled, lr=0.02)
    twin.step(grads, grad_scale=0.5 / (norm + 1e-6))
    assert_same_bits(everything(opt), everything(twin))
