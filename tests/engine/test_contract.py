"""The numeric contract: native = reference, bit for bit, whatever the ISA and thread count."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from tests.helpers import (
    THRESHOLD,
    Array,
    assert_same_bits,
    awkward_params,
    everything,
    gradients,
    train,
)
from tests.spec import Options, Spec, Variant
from tests.specs import ALL_SHARED, CASE_IDS, CASES, SPECS

pytestmark = pytest.mark.usefixtures("native", "low_threshold")

if "native" in gs.runtime.available_backends():
    from gradstep import _native

ISAS = gs.runtime.available_isas()
THREADS = (1, 2, 3, 7)
DTYPES = ("float32", "float64")

# The options that every optimizer shares, alone and together.
SHARED: dict[str, Options] = {
    "grad_scale": {},
    "clip_norm": {"clip_norm": 0.5},
    "clip_tensor_norm": {"clip_tensor_norm": 0.5},
    "clip_adaptive": {"clip_adaptive": 0.01, "clip_adaptive_eps": 0.3},
    "clip_adaptive_axis": {"clip_adaptive": 0.01, "clip_adaptive_axis": 0},
    "clip_value": {"clip_value": 0.7},
    "coupled_decay": {"weight_decay": 0.03, "decoupled_weight_decay": False},
    "decoupled_decay": {"weight_decay": 0.03, "decoupled_weight_decay": True},
    "l1": {"l1": 0.05},
    "ema": {"ema_decay": 0.9},
    "all": ALL_SHARED,
}


@cache
def reference(case: int, dtype: str) -> dict[str, Array]:
    spec, variant = CASES[case]
    with gs.runtime.set_backend("numpy"):
        return train(spec.cls, variant.options, dtype)


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", range(len(CASES)), ids=CASE_IDS)
def test_native_equals_reference(case: int, dtype: str, isa: str, threads: int) -> None:
    spec, variant = CASES[case]
    with gs.runtime.set_isa(isa), gs.runtime.set_num_threads(threads):
        native = train(spec.cls, variant.options, dtype)
    assert_same_bits(native, reference(case, dtype))


@pytest.mark.parametrize("spec", SPECS, ids=[s.cls.__name__ for s in SPECS])
def test_native_equals_reference_on_threads_of_larger_shares(spec: Spec) -> None:
    _native.set_least_work(THRESHOLD // 2, THRESHOLD // 2, 0)
    options = spec.variants[0].options

    def run() -> dict[str, Array]:
        return train(spec.cls, options, "float32", steps=2, threshold=THRESHOLD)

    with gs.runtime.set_backend("numpy"):
        expected = run()
    for threads in (1, 2, 7):
        with gs.runtime.set_num_threads(threads):
            assert_same_bits(run(), expected)


@cache
def shared_reference(spec: int, options: str, dtype: str) -> dict[str, Array]:
    with gs.runtime.set_backend("numpy"):
        return train_shared(SPECS[spec], SPECS[spec].variants[-1], options, dtype)


def train_shared(spec: Spec, variant: Variant, options: str, dtype: str) -> dict[str, Array]:
    merged = spec.allowed({**variant.options, **SHARED[options]})
    return train(spec.cls, merged, dtype, grad_scale=0.37, with_none=True)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("options", SHARED)
@pytest.mark.parametrize("spec", range(len(SPECS)), ids=[s.cls.__name__ for s in SPECS])
def test_shared_options_native_equals_reference(
    spec: int, options: str, dtype: str, isa: str
) -> None:
    expected = shared_reference(spec, options, dtype)
    for threads in THREADS:
        with gs.runtime.set_isa(isa), gs.runtime.set_num_threads(threads):
            native = train_shared(SPECS[spec], SPECS[spec].variants[-1], options, dtype)
        assert_same_bits(native, expected)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", range(len(CASES)), ids=CASE_IDS)
def test_special_values_native_equals_reference(case: int, dtype: str, isa: str) -> None:
    spec, variant = CASES[case]
    tiny = np.finfo(dtype).tiny
    specials = [0.0, -0.0, np.nan, np.inf, -np.inf, tiny, -tiny / 2, 1e30, -1e30, 1e-30, 1.0]

    def run(backend: str) -> dict[str, Array]:
        with gs.runtime.set_backend(backend):
            pairs = np.meshgrid(np.array(specials, dtype), np.array(specials, dtype))
            params, grads = (np.tile(values.ravel(), 4) for values in pairs)
            shared = spec.allowed({"clip_value": 1e20, "ema_decay": 0.5})
            opt = spec.cls(params, **variant.options, **shared)
            for _ in range(5):
                opt.step(grads)
            return everything(opt)

    with gs.runtime.set_isa(isa):
        assert_same_bits(run("native"), run("numpy"))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_gradient_norm_is_the_same_everywhere(dtype: str, isa: str) -> None:
    params = awkward_params(dtype)
    # Large enough for several waves of blocks.
    params["large"] = np.random.default_rng(7).normal(size=5_000_003).astype(dtype)
    grads = gradients(params, 0)

    def norm() -> float | None:
        opt = gs.SGD(params, lr=0.0)
        return opt.step(grads, with_norm=True, grad_scale=0.3).grad_norm

    with gs.runtime.set_backend("numpy"):
        expected = norm()
    assert expected is not None
    plain = 0.3 * np.sqrt(sum(float(np.sum(g.astype(np.float64) ** 2)) for g in grads.values()))
    assert expected == pytest.approx(plain, rel=1e-12)
    for threads in THREADS:
        with gs.runtime.set_isa(isa), gs.runtime.set_num_threads(threads):
            assert norm() == expected


def test_groups_with_different_rules_native_equals_reference() -> None:
    def run(backend: str) -> dict[str, Array]:
        with gs.runtime.set_backend(backend):
            params = awkward_params("float32")
            names = list(params)
            thirds: list[dict[str, Any]] = [
                {"params": {n: params[n] for n in names[k::3]}} for k in range(3)
            ]
            thirds[1] |= {"momentum": 0.0, "l1": 0.1}
            thirds[2] |= {"nesterov": True, "ema_decay": 0.9, "lr": lambda t: 0.1 / (t + 1)}
            opt = gs.SGD(thirds, lr=0.1, momentum=0.9, clip_norm=1.0)
            for step in range(5):
                opt.step(gradients(params, step))
            return everything(opt)

    assert_same_bits(run("native"), run("numpy"))


def test_mixed_dtypes_in_one_step() -> None:
    def run(backend: str) -> dict[str, Array]:
        with gs.runtime.set_backend(backend):
            params = awkward_params("float32")
            params |= {f"double_{k}": v for k, v in awkward_params("float64", seed=1).items()}
            opt = gs.AdamW(params, clip_norm=0.1)
            for step in range(5):
                opt.step(gradients(params, step))
            return everything(opt)

    assert_same_bits(run("native"), run("numpy"))
