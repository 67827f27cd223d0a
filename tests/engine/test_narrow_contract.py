"""Narrow storage: native = reference, bit for bit, of everything that a step stores."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradstep as gs
from gradstep.reference import RULES
from tests.gradient_forms import as_parameter, bfloat16, transposed
from tests.helpers import Array, assert_same_bits
from tests.narrow import STORAGES, can_be_stored, needs_bfloat16, raw
from tests.spec import Variant
from tests.specs import SPECS

pytestmark = pytest.mark.usefixtures("low_threshold")

ISAS = gs.runtime.available_isas()
LISTED = list(STORAGES.items())
GRADIENTS = bfloat16 if bfloat16 is not None else "float16"

# Sizes beside those of blocks of scales, of 8-bit state, and of what threads share.
SHAPES: dict[str, tuple[int, ...]] = {
    "empty": (0,),
    "scalar": (),
    "block": (256,),
    "block and one": (257,),
    "below 8 bits": (4095,),
    "8 bits": (4096,),
    "tail": (4096 + 511,),
    "matrix": (67, 131),
}

# One of these goes with each optimizer and storage, in turn.
SHARED: list[dict[str, Any]] = [
    {},
    {"clip_norm": 0.5, "weight_decay": 0.03},
    {"ema_decay": 0.9},
    {"l1": 0.05, "clip_value": 0.7},
    {"ema_decay": 0.8, "ema_dtype": "float16", "clip_tensor_norm": 0.2},
    {"weight_decay": 0.03, "decoupled_weight_decay": True, "clip_adaptive": 0.01},
    {"ema_decay": 0.7, "ema_dtype": "bfloat16", "maximize": True, "l1": 0.01},
    {"cautious": True, "clip_norm": 0.5},
]


def parameters(dtype: Any) -> dict[str, Array]:
    rng = np.random.default_rng(3)
    params = {name: rng.normal(size=shape).astype(dtype) for name, shape in SHAPES.items()}
    params["fortran"] = np.asfortranarray(rng.normal(size=(29, 153)).astype(dtype))
    return params


def gradients(params: dict[str, Array], step: int) -> dict[str, Array | None]:
    """Of all magnitudes, most of them in 16 bits; None, float32 and another layout among them."""
    rng = np.random.default_rng(100 + step)
    grads: dict[str, Array | None] = {}
    for i, (name, param) in enumerate(params.items()):
        values = rng.normal(size=param.shape) * 10.0 ** rng.uniform(-4, 1, size=param.shape)
        kind = (i + step) % 7
        if kind == 5:
            grads[name] = None
        elif kind == 6:
            grads[name] = values.astype(np.float32)
        else:
            layout = transposed if kind % 2 else as_parameter
            grads[name] = layout(values, "float32").astype(GRADIENTS)
    return grads


def variant_of(spec: int, storage: int) -> Variant:
    """Each of them with some storage."""
    variants = SPECS[spec].variants
    return variants[storage % len(variants)]


def shared(spec: int, variant: Variant, turn: int) -> dict[str, Any]:
    """The variant's options, and one choice of those that all share."""
    options = SPECS[spec].allowed({**SHARED[(spec + turn) % len(SHARED)], **variant.options})
    known = SPECS[spec].cls.method.hyperparameters
    if "cautious" not in known or not RULES[variant.rule].has_momentum:
        options.pop("cautious", None)
    return options


def train(spec: int, storage: int) -> dict[str, Array]:
    dtype, how = LISTED[storage][1]
    params = parameters(dtype)
    opt = SPECS[spec].cls(params, **shared(spec, variant_of(spec, storage), storage), **how)
    for step in range(4):
        opt.step(gradients(params, step), grad_scale=0.37)
    return raw(opt)


PAIRS = [
    pytest.param(spec, storage, id=f"{SPECS[spec].cls.__name__}-{name}")
    for spec in range(len(SPECS))
    for storage, (name, (_, options)) in enumerate(LISTED)
    if can_be_stored(variant_of(spec, storage).rule, options)
]


@pytest.mark.usefixtures("native")
@pytest.mark.parametrize(("spec", "storage"), PAIRS)
def test_native_equals_reference(spec: int, storage: int) -> None:
    with gs.runtime.set_backend("numpy"):
        expected = train(spec, storage)
    for place, isa in enumerate(ISAS):
        for threads in (1, 2) if isa == ISAS[-1] else (1 + (spec + storage + place) % 2,):
            with gs.runtime.set_isa(isa), gs.runtime.set_num_threads(threads):
                assert_same_bits(train(spec, storage), expected)


@pytest.mark.usefixtures("native")
@pytest.mark.parametrize("threads", [2, 3, 7])
@pytest.mark.parametrize("ema_decay", [None, 0.9])
@pytest.mark.parametrize("storage", range(len(LISTED)), ids=list(STORAGES))
def test_threads_share_what_is_large(storage: int, ema_decay: float | None, threads: int) -> None:
    """Tensors of many shares, which have to end where blocks of scales do; with an average all is
    converted in the stage."""
    dtype, options = LISTED[storage][1]
    cls = gs.Lion if options.get("state_dtype") == "float16" else gs.AdamW

    def run() -> dict[str, Array]:
        rng = np.random.default_rng(8)
        params = [rng.normal(size=n).astype(dtype) for n in (100_003, 4097, 40_000)]
        opt = cls(params, lr=0.01, clip_norm=1.0, ema_decay=ema_decay, **options)
        for _ in range(2):
            opt.step([rng.normal(size=p.size).astype(GRADIENTS) for p in params])
        return raw(opt)

    with gs.runtime.set_backend("numpy"):
        expected = run()
    with gs.runtime.set_num_threads(threads):
        assert_same_bits(run(), expected)


@needs_bfloat16
@pytest.mark.usefixtures("native")
def test_groups_of_mixed_formats() -> None:
    def run() -> dict[str, Array]:
        params: dict[str, Array] = {}
        groups = []
        for place, (name, (dtype, options)) in enumerate(STORAGES.items()):
            if options.get("state_dtype") == "float16":
                continue
            own = {f"{name}/{n}": p for n, p in parameters(dtype).items()}
            groups.append({"params": own, **options, **SHARED[place % len(SHARED)]})
            params |= own
        opt = gs.AdamW(groups, lr=0.01)
        for step in range(4):
            opt.step(gradients(params, step), with_norm=True)
        return raw(opt)

    with gs.runtime.set_backend("numpy"):
        expected = run()
    for isa in ISAS:
        for threads in (1, 2):
            with gs.runtime.set_isa(isa), gs.runtime.set_num_threads(threads):
                assert_same_bits(run(), expected)


@pytest.mark.usefixtures("native")
@pytest.mark.parametrize("storage", range(len(LISTED)), ids=list(STORAGES))
def test_special_values(storage: int) -> None:
    """Infinities, NaN, denormals and the largest values: in some blocks none, in others many."""
    dtype, options = LISTED[storage][1]
    cls = gs.Lion if options.get("state_dtype") == "float16" else gs.AdamW
    specials = [0.0, -0.0, np.nan, np.inf, -np.inf, 1e-40, -1e-38, 6e-8, 65504, 3e38, -1e-3, 1.0]

    def run() -> dict[str, Array]:
        rng = np.random.default_rng(5)
        with np.errstate(over="ignore"):
            params = rng.choice(specials, 5000).astype(dtype)
            opt = cls(params, lr=0.1, ema_decay=0.5, ema_dtype="float16", **options)
            for _ in range(4):
                grads = rng.normal(size=5000).astype(np.float32)
                some = rng.random(5000) < np.linspace(-0.01, 0.3, 5000)
                grads[some] = rng.choice(specials, some.sum())
                opt.step(grads)
        return raw(opt)

    with gs.runtime.set_backend("numpy"):
        expected = run()
    for isa in ISAS:
        with gs.runtime.set_isa(isa):
            assert_same_bits(run(), expected)


@pytest.mark.usefixtures("backend")
def test_8_bits_beside_the_largest_numbers() -> None:
    """Zeros stay zeros beside them, and they what they are but for the last place."""
    grads = np.zeros(4096, np.float32)
    grads[[0, 300]] = np.finfo(np.float32).max, -1e37
    opt = gs.SGD({"w": grads * 0}, lr=1e-3, momentum=0.5, state_dtype="8bit")
    opt.step({"w": grads})
    np.testing.assert_allclose(opt.state_as("w", "momentum_buffer"), grads, rtol=2.0**-23)


@needs_bfloat16
@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("spec", range(len(SPECS)), ids=[s.cls.__name__ for s in SPECS])
def test_split_training_is_float32_training(spec: int) -> None:
    """Parameter and trailing bits are the float32 parameter, and the parameter is that one
    rounded half-up; state and averages are the same."""
    for turn, variant in enumerate(SPECS[spec].variants):
        options = shared(spec, variant, turn)
        split = parameters(bfloat16)
        wide = {name: param.astype(np.float32) for name, param in split.items()}
        opt = SPECS[spec].cls(split, rounding="split", **options)
        twin = SPECS[spec].cls(wide, **options)
        for step in range(4):
            grads = gradients(split, step)
            opt.step(grads)
            twin.step(grads)
        assert_same_bits(dict(opt.ema), dict(twin.ema))
        for name, param in wide.items():
            bits = param.view(np.uint32)
            state = dict(opt.state[name])
            trailing = state.pop("trailing_bits")
            np.testing.assert_array_equal(split[name].view(np.uint16), (bits + 0x8000) >> 16)
            np.testing.assert_array_equal(trailing, bits & 0xFFFF)
            assert_same_bits(state, dict(twin.state[name]))
