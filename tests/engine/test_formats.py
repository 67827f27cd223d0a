"""Gradients of another dtype or layout than their parameters: bits as if converted before."""

from __future__ import annotations

import itertools
from functools import cache
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from tests.gradient_forms import (
    FORMATS,
    LAYOUTS,
    bfloat16,
    converted,
    dtype_of,
    mixed,
    of_one,
    parameters,
)
from tests.helpers import Array, assert_same_bits, everything
from tests.specs import SPECS

pytestmark = pytest.mark.usefixtures("low_threshold")

DTYPES = ["float32", "float64"]
ISAS = gs.runtime.available_isas()
THREADS = (1, 2, 3, 7)

OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "norm": {"clip_norm": 0.5, "ema_decay": 0.9},
    "tensor": {"clip_tensor_norm": 0.2, "weight_decay": 0.03},
    "units": {"clip_adaptive": 0.01},
    "all": {"clip_adaptive": 0.01, "clip_norm": 0.5, "clip_value": 0.001, "l1": 0.05},
}
COUNTED: dict[str, dict[str, Any]] = {
    "cautious": {"cautious": True},
    "cautious, limited": {"cautious": True, "clip_adaptive": 0.01, "clip_norm": 0.5},
}


def train(cls: Any, options: dict[str, Any], dtype: str, grads_of: Any, steps: int = 2) -> Any:
    params = parameters(dtype)
    opt = cls(params, **options)
    norms = [
        opt.step(grads_of(params, step), grad_scale=0.37, with_norm=True).grad_norm
        for step in range(steps)
    ]
    return everything(opt), norms


def chosen(spec: int, options: str) -> dict[str, Any]:
    """The options, and momentum where cautious steps may need it."""
    needed = options in COUNTED and "momentum" in SPECS[spec].cls.method.hyperparameters
    given = (OPTIONS | COUNTED)[options] | ({"momentum": 0.9} if needed else {})
    return SPECS[spec].allowed(given)


@cache
def reference(spec: int, options: str, dtype: str, layout: str = "", form: str = "") -> Any:
    grads_of = of_one(layout, form) if layout else mixed
    with gs.runtime.set_backend("numpy"):
        return train(SPECS[spec].cls, chosen(spec, options), dtype, grads_of)


def same(actual: Any, expected: Any) -> None:
    assert_same_bits(actual[0], expected[0])
    assert actual[1] == expected[1]


ADAMW = next(i for i, spec in enumerate(SPECS) if spec.cls is gs.AdamW)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.usefixtures("native")
def test_native_equals_reference(layout: str, form: str, dtype: str, isa: str) -> None:
    for options in ("plain", "cautious, limited"):
        expected = reference(ADAMW, options, dtype, layout, form)
        for threads in (1, 3):
            with gs.runtime.set_isa(isa), gs.runtime.set_num_threads(threads):
                same(train(gs.AdamW, chosen(ADAMW, options), dtype, of_one(layout, form)), expected)


CASES = [
    pytest.param(spec, options, id=f"{SPECS[spec].cls.__name__}-{options}")
    for spec in range(len(SPECS))
    for options in OPTIONS | COUNTED
    if options in OPTIONS or "cautious" in SPECS[spec].cls.method.hyperparameters
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("spec", "options"), CASES)
@pytest.mark.usefixtures("native")
def test_every_optimizer_takes_all_of_them(spec: int, options: str, dtype: str) -> None:
    expected = reference(spec, options, dtype)
    for isa in ISAS:
        for threads in THREADS:
            with gs.runtime.set_isa(isa), gs.runtime.set_num_threads(threads):
                same(train(SPECS[spec].cls, chosen(spec, options), dtype, mixed), expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("options", OPTIONS | COUNTED)
@pytest.mark.usefixtures("backend")
def test_the_bits_are_those_of_converted_gradients(options: str, dtype: str) -> None:
    def by_numpy(params: dict[str, Array], step: int) -> dict[str, Array | None]:
        return converted(params, mixed(params, step))

    every = chosen(ADAMW, options)
    same(train(gs.AdamW, every, dtype, mixed), train(gs.AdamW, every, dtype, by_numpy))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("options", ["plain", "units", "cautious, limited"])
@pytest.mark.usefixtures("backend")
def test_no_gradient_is_read_as_the_one_before_it(options: str, dtype: str) -> None:
    """One after another in every form, beside a twin that gets all as NumPy converts them."""
    rng = np.random.default_rng(7)
    values = [rng.normal(size=(67, 33)).astype(np.float16).astype(dtype) for _ in LAYOUTS]
    ways = list(itertools.product(FORMATS, LAYOUTS))
    opt, twin = (
        gs.AdamW({"w": np.ones((67, 33), dtype)}, **chosen(ADAMW, options)) for _ in range(2)
    )
    for step in rng.permutation(2 * len(ways)).tolist():
        form, layout = ways[step // 2]
        grad = LAYOUTS[layout](values[step % len(values)], form)
        plain = np.empty((67, 33), dtype)
        plain[...] = grad
        opt.step({"w": None if step % 7 == 3 else grad if step % 2 else plain})
        twin.step({"w": None if step % 7 == 3 else plain})
    assert_same_bits(everything(opt), everything(twin))


@pytest.mark.usefixtures("native")
def test_one_stride_for_all_elements_after_turned_gradients() -> None:
    """Of many parameters, as what was left of a turned gradient's axes did no harm in most."""
    params = [np.zeros((48, 40 + i % 7), "f") for i in range(300)]
    opt = gs.SGD(params, lr=1.0)
    opt.step([np.ones(p.shape[::-1], "f").T for p in params])
    opt.step([LAYOUTS["every_other"](np.ones(p.shape), "float32") for p in params])
    assert all((p == -2).all() for p in params)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("stride", [1, -1, 3])
@pytest.mark.usefixtures("native")
def test_every_value_is_read_as_numpy_reads_it(
    stride: int, form: str, dtype: str, isa: str
) -> None:
    rng = np.random.default_rng(0)
    if form in ("float16", "bfloat16"):
        values = np.arange(65536, dtype=np.uint16).view(dtype_of(form))
    else:
        bits = rng.integers(0, 2**63, 50_000, np.int64) * 2 + rng.integers(0, 2, 50_000)
        wide = bits.view("float64")
        near = (2.0 ** rng.uniform(-160, 130, 50_000)).view("float64")
        edges = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 3.4028236e38, 1e-45, 7e-46, 1e-320])
        with np.errstate(all="ignore"):
            values = np.concatenate([wide, near, edges]).astype(form)
    spread = np.zeros(3 * values.size, values.dtype)
    view = spread[::stride] if stride != 1 else spread[: values.size]
    view = view[: values.size]
    view[...] = values
    with np.errstate(all="ignore"):
        expected = values.astype(dtype) + np.zeros(1, dtype)
    param = np.zeros(values.size, dtype)
    with gs.runtime.set_isa(isa):
        gs.SGD(param, lr=1.0, maximize=True).step(view)
    assert_same_bits({"p": param}, {"p": expected})


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.usefixtures("native")
def test_large_transposed_gradients(form: str, threads: int) -> None:
    def run() -> Any:
        rng = np.random.default_rng(1)
        params = {"C": np.ones((517, 2048), "f"), "F": np.ones((2050, 300), "f", order="F")}
        opt = gs.Adam(params, lr=0.1, clip_norm=1.0, cautious=True)
        grads = {
            "C": rng.normal(size=(2048, 517)).astype(dtype_of(form)).T,
            "F": rng.normal(size=(2050, 300)).astype(dtype_of(form)),
        }
        norm = opt.step(grads).grad_norm
        return everything(opt), [norm]

    with gs.runtime.set_backend("numpy"):
        expected = run()
    with gs.runtime.set_num_threads(threads):
        same(run(), expected)


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.usefixtures("native")
def test_units_are_shared_by_threads(dtype: str, isa: str, threads: int) -> None:
    def run() -> Any:
        rng = np.random.default_rng(2)
        shapes = [(40_000,), (257, 1030), (9000, 2), (513, 512), (256, 513), (70_000, 1)]
        params = [rng.normal(size=shape).astype(dtype) for shape in shapes]
        params += [np.array(p, order="F") for p in params if p.ndim > 1]
        opt = gs.SGD(params, lr=0.1, clip_adaptive=0.02)
        norm = opt.step([rng.normal(size=p.shape) for p in params]).grad_norm
        return everything(opt), [norm]

    with gs.runtime.set_backend("numpy"):
        expected = run()
    with gs.runtime.set_isa(isa), gs.runtime.set_num_threads(threads):
        same(run(), expected)


@pytest.mark.usefixtures("backend")
def test_a_strided_gradient_around_a_parameter_is_read_and_one_within_refused() -> None:
    store = np.ones((3, 8), np.float32)
    opt = gs.SGD({"a": store[1], "b": np.ones((2, 8), np.float32)}, lr=0.5)
    opt.step({"a": None, "b": store[::2]})
    np.testing.assert_array_equal(opt.params["b"], 0.5)
    with pytest.raises(ValueError, match="gradient 'b' shares memory with a parameter"):
        opt.step({"a": None, "b": store[1:]})
    with pytest.raises(ValueError, match="gradient 'b' shares memory with a parameter"):
        opt.step({"a": None, "b": store[1::-1].astype("f", copy=False)})
    np.testing.assert_array_equal(opt.params["b"], 0.5)


@pytest.mark.usefixtures("backend")
def test_read_only_gradients_of_any_layout_are_left_as_they_are() -> None:
    params = parameters("float32")
    for step, layout in enumerate(LAYOUTS):
        grads = of_one(layout, "float64")(params, step)
        before = {name: grad.copy() for name, grad in grads.items()}
        for grad in grads.values():
            grad.flags.writeable = False
        gs.Adam(params, clip_adaptive=0.1).step(grads)
        for name, grad in grads.items():
            np.testing.assert_array_equal(grad, before[name])


@pytest.mark.skipif(bfloat16 is None, reason="ml_dtypes is not installed")
@pytest.mark.usefixtures("backend")
def test_bfloat16_is_told_from_other_two_byte_dtypes() -> None:
    w = np.zeros(2, np.float32)
    opt = gs.SGD(w, lr=1.0)
    opt.step(np.ones(2, bfloat16))
    with pytest.raises(TypeError, match="dtype \\|V2; expected float16, bfloat16, float32 or"):
        opt.step(np.zeros(2, "V2"))
    with pytest.raises(TypeError, match="int16"):
        opt.step(np.zeros(2, np.int16))
    opt.step(np.ones(2, np.dtype(bfloat16, metadata={"of": "somebody"})))
    np.testing.assert_array_equal(w, -2.0)


def test_every_other_column_after_a_transposed_gradient() -> None:
    """Crashed: what the first was known by stayed with the second, whose axes are one."""
    square, wide = np.ones((40, 40), np.float32), np.ones((40, 80), np.float32)
    for count in range(1, 50):
        params = [np.zeros_like(square) for _ in range(count)]
        opt = gs.SGD(params, lr=1.0)
        opt.step([square.T] * count)
        opt.step([wide[:, ::2]] * count)
        for param in params:
            np.testing.assert_array_equal(param, -2.0)
