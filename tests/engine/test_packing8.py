"""8-bit state: what its codes mean, how far they are from what was written, and its blocks."""

from __future__ import annotations

import numpy as np
import pytest

import gradstep as gs
from gradstep.reference.draws import Drawn
from tests.helpers import Array, assert_same_bits
from tests.narrow import ANY_DRAWS, HALFWAY, bits, drawn_by, packed, raw, unpacked

ISAS = gs.runtime.available_isas()
BLOCK = 256
FORMATS = ["moments8", "squares8"]
TOP = {"moments8": 1.8125 * 2.0**8, "squares8": 1.8125}
STEP = {"moments8": 2.0**-2, "squares8": 2.0**-18}  # of the codes below 16


def meaning(format: str) -> Array:
    """Of each code, relative to the scale, in float64."""
    code = np.arange(256)
    magnitude = code if format == "squares8" else code & 127
    normal = (16 + magnitude % 16) * 2.0 ** (magnitude // 16 - 1) * STEP[format]
    values = np.where(magnitude < 16, magnitude * STEP[format], normal)
    return np.where(magnitude == code, values, -values)


def finite(format: str) -> Array:
    """The codes that are finite in any block."""
    codes = np.arange(256, dtype=np.uint8)
    return codes[(codes & 127) < 126] if format == "moments8" else codes[:254]


def of_all_magnitudes(format: str, size: int, seed: int = 0) -> Array:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=size) * 10.0 ** rng.uniform(-12, 0, size)
    # Blocks of their own magnitudes, too.
    values *= np.repeat(10.0 ** rng.uniform(-20, 20, -(-size // BLOCK)), BLOCK)[:size]
    return (values if format == "moments8" else values**2 + 1e-37).astype(np.float32)


def largest_of_each(values: Array) -> Array:
    """The largest magnitude of the block of each element, in float64."""
    wide = np.abs(values.astype(np.float64))
    starts = np.arange(0, values.size, BLOCK)
    return np.repeat(np.maximum.reduceat(wide, starts), BLOCK)[: values.size]


@pytest.mark.parametrize("format", FORMATS)
def test_a_negative_scale_says_that_there_are_infinities_or_nans(format: str) -> None:
    read = unpacked(format, np.arange(256, dtype=np.uint8), np.array([-(2.0**-20)], np.float32))
    codes = finite(format)
    np.testing.assert_array_equal(read[codes], meaning(format)[codes] * 2.0**-20)
    specials = {"moments8": {126: np.inf, 127: np.nan, 254: -np.inf, 255: np.nan}}
    others = specials.get(format, {254: np.inf, 255: np.nan})
    np.testing.assert_array_equal(read[list(others)], list(others.values()))
    assert len(codes) + len(others) == 256


@pytest.mark.parametrize("format", FORMATS)
def test_what_codes_mean(format: str) -> None:
    codes, scale = finite(format), np.array([2.0**-20], np.float32)
    read = unpacked(format, codes, scale)
    np.testing.assert_array_equal(read, meaning(format)[codes] * scale)
    assert read.max() == TOP[format] * scale


@pytest.mark.parametrize("format", FORMATS)
def test_codes_are_read_and_written_back(format: str) -> None:
    """Where a block has the highest code: any other block is written with other codes. Whatever is
    drawn, where the scale is a power of 2, as nothing is rounded then."""
    codes = finite(format)
    for scale in (2.0**-100, 2.0**-3, 0.1, 1e35):
        scales = np.array([scale], np.float32)
        exact = np.log2(scale).is_integer()
        for drawn in ANY_DRAWS if exact else [HALFWAY]:
            stored, beside = packed(format, unpacked(format, codes, scales), drawn)
            np.testing.assert_array_equal(stored, codes)
            np.testing.assert_allclose(beside, scales, rtol=0 if exact else 2.0**-23)


@pytest.mark.parametrize("drawn", ANY_DRAWS, ids=["halfway", "towards zero", "away"])
@pytest.mark.parametrize("size", [1, 255, 256, 257, 4096, 4096 + 511])
@pytest.mark.parametrize("format", FORMATS)
def test_how_far_codes_are_from_what_was_written(format: str, size: int, drawn: Drawn) -> None:
    """4 bits of mantissa are at most 2⁻⁴ of a value apart, and the values below the normal ones a
    step: a draw errs by less than that, and halfway by half of it, but for squares below half a
    step, which become one. Beside what is not the largest of its block, the latter is exact.

    Three float32 operations, each of which errs by 2⁻²⁴, move values across these borders.
    """
    values = of_all_magnitudes(format, size)
    stored, beside = packed(format, values, drawn)
    assert beside is not None
    assert stored.shape == values.shape
    assert beside.shape == (-(-size // BLOCK),)
    restored = unpacked(format, stored, beside).astype(np.float64)
    wide, largest = values.astype(np.float64), largest_of_each(values)
    part = 0.5 if drawn is HALFWAY else 1.0
    step = STEP[format] / TOP[format] * largest
    bound = part * np.maximum(np.abs(wide) / 16, step)
    if format == "squares8":
        bound = np.where(wide < step, step, bound)
    assert (np.abs(restored - wide) <= bound * (1 + 2.0**-18)).all()
    is_largest = np.abs(wide) == largest
    if drawn is HALFWAY:
        np.testing.assert_allclose(restored[is_largest], wide[is_largest], rtol=2.0**-23)


def test_squares_above_zero_stay_above_zero() -> None:
    """Beside any larger one down to 2⁻¹²⁵, below which a block is zero; whatever is drawn."""
    tiny = np.array([1e-45, 1e-40, 1e-38, 0.0], np.float32)
    for largest in (2.0**-125, 1e-20, 1.0, 3e38):
        values = np.append(tiny, np.float32(largest))
        for drawn in ANY_DRAWS:
            restored = unpacked("squares8", *packed("squares8", values, drawn))
            np.testing.assert_array_equal(restored > 0, values > 0)


def test_minus_zero_is_zero_among_squares() -> None:
    """Which have no sign: its bit would make a large number of it."""
    values = of_all_magnitudes("squares8", 2 * BLOCK + 3)
    values[[0, 7, BLOCK]] = 0
    values[2 * BLOCK :] = 0
    negative = np.where(values == 0, np.float32(-0.0), values)
    stored, beside = packed("squares8", negative)
    expected, scales = packed("squares8", values)
    np.testing.assert_array_equal(stored, expected)
    np.testing.assert_array_equal(bits(beside), bits(scales))
    assert not bits(unpacked("squares8", stored, beside))[values == 0].any()


@pytest.mark.parametrize("format", FORMATS)
def test_zeros(format: str) -> None:
    """Of a block of its own, beside a block of others; values too small to divide by are zero."""
    values = np.zeros(3 * BLOCK, np.float32)
    values[BLOCK : 2 * BLOCK] = 1
    values[2 * BLOCK] = 2.0**-126
    stored, beside = packed(format, values)
    restored = unpacked(format, stored, beside)
    np.testing.assert_array_equal(restored[: 2 * BLOCK], values[: 2 * BLOCK])
    np.testing.assert_array_equal(restored[2 * BLOCK :], 0)
    np.testing.assert_array_equal(beside, np.float32([0, 1 / TOP[format], 0]))


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("special", [np.inf, -np.inf, np.nan])
def test_specials_leave_the_others_of_their_block_alone(special: float, format: str) -> None:
    if format == "squares8" and special < 0:
        special = np.inf
    values = of_all_magnitudes(format, 2 * BLOCK)
    values[5] = 0
    expected = unpacked(format, *packed(format, values))
    values[5] = special
    restored = unpacked(format, *packed(format, values))
    np.testing.assert_array_equal(restored[5], np.float32(special))
    np.testing.assert_array_equal(np.delete(restored, 5), np.delete(expected, 5))


@pytest.mark.parametrize("format", FORMATS)
def test_blocks_of_specials_only(format: str) -> None:
    values = np.full(BLOCK, np.nan, np.float32)
    values[::2] = np.inf
    np.testing.assert_array_equal(unpacked(format, *packed(format, values)), values)


def test_moments_keep_signs_and_one_nan() -> None:
    values = of_all_magnitudes("moments8", 3 * BLOCK)
    flipped = unpacked("moments8", *packed("moments8", -values))
    np.testing.assert_array_equal(flipped, -unpacked("moments8", *packed("moments8", values)))
    patterns = np.array([0x7F800001, 0xFFC00000, 0xFFFFFFFF], np.uint32).view(np.float32)
    for format in FORMATS:
        assert len(set(packed(format, patterns)[0].tolist())) == 1


@pytest.mark.parametrize("size", [4096, 4096 + 1, 20_000 + 255])
@pytest.mark.usefixtures("backend")
def test_a_step_stores_what_packing_says(size: int) -> None:
    values = of_all_magnitudes("moments8", size)
    values[[3, 700, 701]] = np.nan, np.inf, -np.inf
    opt = gs.SGD({"w": np.zeros(size, "f")}, lr=1.0, momentum=0.5, state_dtype="8bit")
    opt.step({"w": values})
    codes, scales = packed("moments8", values, drawn_by(values))
    np.testing.assert_array_equal(opt.state["w"]["momentum_buffer"], codes)
    np.testing.assert_array_equal(opt.state["w"]["momentum_buffer_scale"], scales)

    opt = gs.RMSprop({"w": np.zeros(size, "f")}, lr=1.0, alpha=0.0, state_dtype="8bit")
    values = np.sqrt(np.abs(values))
    opt.step({"w": values})
    codes, scales = packed("squares8", values * values, drawn_by(values))
    np.testing.assert_array_equal(opt.state["w"]["square_avg"], codes)
    np.testing.assert_array_equal(opt.state["w"]["square_avg_scale"], scales)


@pytest.mark.usefixtures("backend")
def test_a_step_reads_every_code() -> None:
    """Half of what was stored is added to zeros, twice. Every third block has infinities."""
    codes = np.tile(np.arange(256, dtype=np.uint8), 17)
    scales = np.float32(10.0) ** np.arange(-8, 9, dtype=np.float32)
    scales[::3] *= -1
    param = np.zeros(codes.size, "f")
    opt = gs.SGD({"w": param}, lr=2.0, momentum=0.5, state_dtype="8bit", maximize=True)
    opt.state["w"]["momentum_buffer"][...] = codes
    opt.state["w"]["momentum_buffer_scale"][...] = scales
    opt.step({"w": np.zeros(codes.size, "f")})
    np.testing.assert_array_equal(-param, unpacked("moments8", codes, scales))


@pytest.mark.usefixtures("backend")
def test_a_step_halves_every_code_of_squares() -> None:
    """By halving the scale, which is the largest of a block that has the highest code. Powers of 2
    are exact, so that nothing is drawn."""
    codes = np.tile(np.arange(256, dtype=np.uint8), 17).reshape(17, BLOCK)
    scales = np.float32(2.0) ** np.arange(-8, 9, dtype=np.float32)
    scales[::3] *= -1
    codes[scales > 0, 254:] = 0  # neither infinities nor NaNs
    opt = gs.RMSprop({"w": np.zeros(codes.size, "f")}, alpha=0.5, state_dtype="8bit")
    opt.state["w"]["square_avg"][...] = codes.reshape(-1)
    opt.state["w"]["square_avg_scale"][...] = scales
    opt.step({"w": np.zeros(codes.size, "f")})
    np.testing.assert_array_equal(opt.state["w"]["square_avg"], codes.reshape(-1))
    np.testing.assert_array_equal(opt.state["w"]["square_avg_scale"], scales / 2)


@pytest.mark.usefixtures("backend")
def test_tensors_below_4096_elements_stay_in_float32() -> None:
    params = {"small": np.zeros(4095, "f"), "large": np.zeros((64, 64), "f")}
    opt = gs.AdamW(params, state_dtype="8bit")
    dtypes = {name: {k: a.dtype.name for k, a in opt.state[name].items()} for name in params}
    assert dtypes["small"] == {"exp_avg": "float32", "exp_avg_sq": "float32"}
    assert dtypes["large"] == {
        "exp_avg": "uint8",
        "exp_avg_scale": "float32",
        "exp_avg_sq": "uint8",
        "exp_avg_sq_scale": "float32",
    }
    assert opt.state["large"]["exp_avg_scale"].shape == (16,)


@pytest.mark.usefixtures("native", "low_threshold")
def test_instruction_sets_write_the_same_codes_of_any_float32() -> None:
    """Patterns of all exponents in blocks of few and of many: scaled, NaN and infinities among
    them."""
    rng = np.random.default_rng(2)
    wild = rng.integers(0, 2**32, 200 * BLOCK, np.uint32).view(np.float32)
    tame = of_all_magnitudes("moments8", 200 * BLOCK + 77)
    some = rng.random(tame.size) < 0.001
    tame[some] = rng.choice(np.float32([np.nan, np.inf, -np.inf, 0, -0.0, 1e-45]), some.sum())
    near = np.repeat(np.float32(2.0) ** rng.integers(-126, 128, 40), BLOCK)
    near = (bits(near) + rng.integers(-3, 4, near.size).astype(np.uint32)).view(np.float32)
    grads = {"wild": wild, "tame": tame, "near": near}

    def run(momentum: float) -> dict[str, Array]:
        params = {name: np.zeros(grad.size, "f") for name, grad in grads.items()}
        opt = gs.AdamW(params, betas=(momentum, momentum), state_dtype="8bit", lr=0.1)
        for _ in range(2):
            opt.step(grads)
        return raw(opt)

    for momentum in (0.0, 0.5):
        with gs.runtime.set_backend("numpy"):
            expected = run(momentum)
        for isa in ISAS:
            with gs.runtime.set_isa(isa):
                assert_same_bits(run(momentum), expected)
