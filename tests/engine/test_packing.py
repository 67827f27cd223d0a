"""16 bits for what is computed in float32: every value that is read, and all kinds written."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradstep as gs
from tests.gradient_forms import bfloat16
from tests.helpers import Array, assert_same_bits
from tests.narrow import (
    AWAY,
    TOWARDS_ZERO,
    all_halves,
    awkward_floats,
    bits,
    needs_bfloat16,
    packed,
    raw,
    unpacked,
    written,
)

ISAS = gs.runtime.available_isas()
ROUNDINGS = [
    pytest.param(dtype, rounding, id=f"{dtype}-{rounding}", marks=marks)
    for dtype, marks in (("float16", ()), ("bfloat16", needs_bfloat16))
    for rounding in ("nearest", "stochastic", "kahan", "split")
    if (dtype, rounding) != ("float16", "split")
]
QUIET_NAN = {"float16": 0x7E00, "bfloat16": 0x7FC0}
# Bits of the significand, and the spacing of denormals.
PRECISION = {"float16": (11, 2.0**-24), "bfloat16": (8, 2.0**-133)}


def dtype_of(name: str) -> Any:
    return bfloat16 if name == "bfloat16" else np.dtype(name)


@pytest.mark.parametrize(("dtype", "rounding"), ROUNDINGS)
@pytest.mark.usefixtures("native")
def test_native_writes_what_the_reference_writes(dtype: str, rounding: str) -> None:
    values = awkward_floats()

    def run() -> dict[str, Array]:
        return raw(written(values, dtype_of(dtype), rounding=rounding, seed=3))

    with gs.runtime.set_backend("numpy"):
        expected = run()
    for isa in ISAS:
        with gs.runtime.set_isa(isa):
            assert_same_bits(run(), expected)


@pytest.mark.parametrize("rounding", ["nearest", "kahan", "split"])
@pytest.mark.usefixtures("backend")
@needs_bfloat16
def test_a_step_stores_what_packing_says(rounding: str) -> None:
    values = awkward_floats()
    stored, beside = packed("bfloat16" if rounding == "nearest" else f"bfloat16 {rounding}", values)
    opt = written(values, bfloat16, rounding=rounding)
    positive = np.where(values == 0, np.uint16(0), stored)  # −0 is not written there
    np.testing.assert_array_equal(bits(opt.params["w"]), positive)
    for array in opt.state["w"].values():
        np.testing.assert_array_equal(array, beside)


@pytest.mark.parametrize(("dtype", "rounding"), ROUNDINGS)
@pytest.mark.usefixtures("backend")
def test_every_value_is_read_and_written_back(dtype: str, rounding: str) -> None:
    """Nothing is lost or drawn where a step leaves a value as it is; NaN becomes the one NaN."""
    halves = all_halves()
    param = halves.view(dtype_of(dtype)).copy()
    opt = gs.SGD({"w": param}, lr=1.0, rounding=rounding)
    for _ in range(2):
        opt.step({"w": np.zeros(param.shape, np.float32)})
    expected = np.where(np.isnan(unpacked(dtype, halves)), np.uint16(QUIET_NAN[dtype]), halves)
    if rounding == "kahan":
        expected[0x8000] = 0  # −0 and what lies beside it, 0, add up to 0
    np.testing.assert_array_equal(bits(param), expected)
    assert not any(array.any() for array in opt.state["w"].values())


@pytest.mark.parametrize(("dtype", "rounding"), ROUNDINGS)
@pytest.mark.usefixtures("backend")
def test_averages_show_what_was_read(dtype: str, rounding: str) -> None:
    """In float32, and half of it from each of two halves. (An infinite parameter has no gradient
    that is a number where any penalty is added.)"""
    param = all_halves().view(dtype_of(dtype)).copy()
    values = param.astype(np.float32)
    values[np.isinf(values)] = np.nan
    opt = gs.SGD({"w": param}, lr=1.0, rounding=rounding, ema_decay=0.5)
    opt.step({"w": np.zeros(param.shape, np.float32)})
    np.testing.assert_array_equal(opt.ema["w"], values)


def test_float16_is_numpys() -> None:
    values = awkward_floats()
    with np.errstate(all="ignore"):
        theirs = bits(values.astype(np.float16))
    expected = np.where(np.isnan(values), np.uint16(0x7E00), theirs)
    np.testing.assert_array_equal(packed("float16", values)[0], expected)
    read = unpacked("float16", all_halves())
    np.testing.assert_array_equal(read, all_halves().view(np.float16).astype(np.float32))


@needs_bfloat16
def test_bfloat16_is_that_of_ml_dtypes() -> None:
    values = awkward_floats()
    with np.errstate(invalid="ignore"):
        theirs = bits(values.astype(bfloat16))
    expected = np.where(np.isnan(values), np.uint16(0x7FC0), theirs)
    np.testing.assert_array_equal(packed("bfloat16", values)[0], expected)
    read = unpacked("bfloat16", all_halves())
    np.testing.assert_array_equal(read, all_halves().view(bfloat16).astype(np.float32))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_nearest_is_torchs(dtype: str) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    values = awkward_floats()
    theirs = torch.from_numpy(values.copy()).to(getattr(torch, dtype)).view(torch.int16).numpy()
    expected = np.where(np.isnan(values), np.uint16(QUIET_NAN[dtype]), bits(theirs))
    np.testing.assert_array_equal(packed(dtype, values)[0], expected)


@pytest.mark.parametrize(
    ("dtype", "value", "expected"),
    [
        ("float16", 65519.996, 0x7BFF),
        ("float16", 65520.0, 0x7C00),
        ("float16", -3.4028235e38, 0xFC00),
        ("float16", -np.inf, 0xFC00),
        ("float16", 2.0**-25, 0x0000),
        ("float16", -(2.0**-25) * 1.0000001, 0x8001),
        ("bfloat16", 3.3895314e38, 0x7F7F),
        ("bfloat16", 3.3961775e38, 0x7F80),
        ("bfloat16", -3.4028235e38, 0xFF80),
        ("bfloat16", np.inf, 0x7F80),
        ("bfloat16", 1.00390625, 0x3F80),
        ("bfloat16", 1.01171875, 0x3F82),
        ("bfloat16", -0.0, 0x8000),
    ],
)
def test_ends_and_ties(dtype: str, value: float, expected: int) -> None:
    assert packed(dtype, np.array([value], np.float32))[0][0] == expected


@pytest.mark.parametrize("pattern", [0x7F800001, 0xFF800001, 0x7FC00000, 0x7FFFFFFF, 0xFFFFFFFF])
def test_there_is_one_nan(pattern: int) -> None:
    nan = np.array([pattern], np.uint32).view(np.float32)
    for format, expected in {
        "float16": (0x7E00, None),
        "bfloat16": (0x7FC0, None),
        "float16 stochastic": (0x7E00, None),
        "bfloat16 stochastic": (0x7FC0, None),
        "float16 dithered": (0x7E00, None),
        "bfloat16 dithered": (0x7FC0, None),
        "float16 kahan": (0x7E00, 0),
        "bfloat16 kahan": (0x7FC0, 0),
        "bfloat16 split": (0x7FC0, 0),
    }.items():
        for drawn in (TOWARDS_ZERO, AWAY):
            stored, beside = packed(format, nan, drawn)
            assert (stored[0], None if beside is None else beside[0]) == expected, format
            assert np.isnan(unpacked(format, stored, beside))


def test_split_restores_every_float32_but_nan() -> None:
    values = awkward_floats()
    stored, beside = packed("bfloat16 split", values)
    restored = unpacked("bfloat16 split", stored, beside)
    numbers = ~np.isnan(values)
    np.testing.assert_array_equal(bits(restored)[numbers], bits(values)[numbers])
    half_up = (bits(values).astype(np.uint64) + 0x8000) >> 16
    np.testing.assert_array_equal(stored[numbers], half_up[numbers])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_what_kahan_loses(dtype: str) -> None:
    """With n bits of significand, rounding errs by at most 2⁻ⁿ of a value, or half of the spacing
    of denormals; what lies beside is that error, itself rounded like this. Their sum is exact: it
    has no bits below those of the value, and no more above."""
    values = awkward_floats()
    stored, beside = packed(f"{dtype} kahan", values)
    kept = unpacked(dtype, stored).astype(np.float64)
    restored = unpacked(f"{dtype} kahan", stored, beside).astype(np.float64)
    finite = np.isfinite(kept)
    assert beside is not None
    assert not beside[~finite].any()
    np.testing.assert_array_equal(stored, packed(dtype, values)[0])
    precision, spacing = PRECISION[dtype]
    wide = values[finite].astype(np.float64)
    lost = np.abs(wide - restored[finite])
    bound = np.maximum(2.0 ** (-2 * precision) * np.abs(wide), spacing / 2)
    assert (lost <= bound).all()


@pytest.mark.parametrize("dtype", ["float16", pytest.param("bfloat16", marks=needs_bfloat16)])
@pytest.mark.usefixtures("backend")
def test_kahan_adds_up_what_nearest_forgets(dtype: str) -> None:
    """Steps of 1/32 of the last place: nearest stays where it is; Kahan arrives within one place
    of 64 · 1/32, though 6 or 9 bits would be needed for the sum itself."""
    ends = {}
    for rounding in ("nearest", "kahan"):
        param = np.ones(3, dtype_of(dtype))
        last_place = 2.0 ** (1 - PRECISION[dtype][0])
        opt = gs.SGD(param, lr=1.0, rounding=rounding)
        for _ in range(64):
            opt.step(np.full(3, -last_place / 32, np.float32))
        ends[rounding] = (param.astype(np.float64) - 1) / last_place
    np.testing.assert_array_equal(ends["nearest"], 0)
    np.testing.assert_array_equal(ends["kahan"], 2)
