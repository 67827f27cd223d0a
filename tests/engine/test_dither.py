"""Dither: state and averages in few bits go to one of two neighbours, right on average."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from gradstep.reference.draws import AVERAGE, FIRST_SLOT
from tests.engine.test_packing8 import of_all_magnitudes
from tests.helpers import Array
from tests.narrow import AWAY, TOWARDS_ZERO, awkward_floats, drawn_by, packed, unpacked

SIZE, STEPS = 4096, 1000
HALVES = ["float16", "bfloat16"]
# What is stored, by the option that has it so.
KINDS = {
    "state float16": ("float16 dithered", {"state_dtype": "float16"}),
    "state bfloat16": ("bfloat16 dithered", {"state_dtype": "bfloat16"}),
    "average float16": ("float16 dithered", {"ema_dtype": "float16"}),
    "average bfloat16": ("bfloat16 dithered", {"ema_dtype": "bfloat16"}),
    "moments in 8 bits": ("moments8", {"state_dtype": "8bit"}),
    "squares in 8 bits": ("squares8", {"state_dtype": "8bit"}),
}


def stored(kind: str, values: Array, steps: int, name: str = "w", seed: int = 0) -> Array:
    """These values, in float32 as they are read again, after each step that has written them."""
    options: dict[str, Any] = {**KINDS[kind][1], "seed": seed}
    param = np.zeros(values.size, np.float32)
    if kind == "squares in 8 bits":
        opt, slot, grad = gs.RMSprop({name: param}, alpha=0.0, **options), "square_avg", values
    else:
        options |= {"momentum": 0.5, "ema_decay": 0.0}
        opt, slot, grad = gs.SGD({name: param}, lr=1.0, **options), "momentum_buffer", values
    average = kind.startswith("average")
    if average:
        grad = -values  # of which zeros are moved by lr = 1
    written = []
    for _ in range(steps):
        for array in (param, *opt.state[name].values()):
            array[...] = 0
        opt.step({name: grad})
        kept = unpacked(KINDS[kind][0], opt.ema[name]) if average else opt.state_as(name, slot)
        written.append(np.array(kept))
    return np.array(written)


def neighbours(format: str, values: Array) -> tuple[Array, Array]:
    """In float64, beside other values of the same scale."""
    either = [packed(format, values, drawn) for drawn in (TOWARDS_ZERO, AWAY)]
    with np.errstate(invalid="ignore"):
        below, above = (unpacked(format, *each).astype(np.float64) for each in either)
    return below, above


def some_values(kind: str) -> tuple[Array, Array]:
    """Gradients, and the values that come of them. Some are below the normal ones of 8 bits."""
    rng = np.random.default_rng(1)
    grads = (10.0 ** rng.uniform(-5, 0, SIZE)).astype(np.float32)
    if kind == "squares in 8 bits":
        grads = np.sqrt(grads)
        return grads, grads * grads
    grads[::256] = 1.8125  # with which the scale is a power of 2
    return grads, grads


def drawn_codes(format: str, values: Array) -> tuple[Array, Array, Array]:
    """Towards zero, away from it, and as a step draws."""
    draws = (TOWARDS_ZERO, AWAY, drawn_by(values))
    low, high, once = (packed(format, values, drawn)[0].astype(int) for drawn in draws)
    return low, high, once


@pytest.mark.parametrize("format", HALVES)
def test_the_result_is_one_of_two_neighbours(format: str) -> None:
    """What is exact stays, as do infinities and NaNs. Of denormals of float16, what is below 2⁻³⁷
    is beyond the bits of a draw; from 65,536 on, all are infinite."""
    values = awkward_floats()
    low, high, once = drawn_codes(f"{format} dithered", values)
    assert np.isin(high - low, (0, 1)).all()
    assert ((once == low) | (once == high)).all()
    numbers = ~np.isnan(values)
    below, above = (np.abs(each[numbers]) for each in neighbours(f"{format} dithered", values))
    value = np.abs(values[numbers].astype(np.float64))
    too_large = value >= (65_536 if format == "float16" else np.inf)
    assert (np.isinf(below) == too_large).all()
    assert (below <= value)[~too_large].all()
    assert (above >= value - (2.0**-37 if format == "float16" else 0)).all()
    exact = packed(format, values)[0][numbers], below == value
    np.testing.assert_array_equal(once[numbers][exact[1]], exact[0][exact[1]])
    assert exact[1].sum() > 60_000
    assert 0.4 < (once == high)[high != low].mean() < 0.6


@pytest.mark.parametrize("format", ["moments8", "squares8"])
def test_the_code_is_one_of_two_that_follow_each_other(format: str) -> None:
    """Between which the values lie: tests/engine/test_packing8.py has how far they are away."""
    values = of_all_magnitudes(format, 100 * 256 + 9)
    low, high, once = drawn_codes(format, values)
    assert np.isin(high - low, (0, 1)).all()
    assert ((once == low) | (once == high)).all()
    assert 0.2 < (once == high)[high != low].mean() < 0.6  # many are small


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("backend")
def test_mean_and_variance_over_the_steps(kind: str) -> None:
    """Each element goes up with the probability f, which is how far it is above the lower one, in
    each step independently of the others: the number of times has the mean n·f, and the variance
    n·f·(1 − f) as the products of successive draws, standardised, have a mean of 0.

    A sum of n independent terms of the variance 1 and of at most M exceeds t·√n with a probability
    of at most exp(−t²/(2 + 2tM/(3√n))), says Bernstein. With f in [0.1, 0.9], M is 3 for draws and
    9 for their products: over 4,096 elements and both signs, t = 7 and t = 8.5 give 1e-4.
    """
    grads, values = some_values(kind)
    below, above = neighbours(KINDS[kind][0], values)
    with np.errstate(invalid="ignore", divide="ignore"):
        f = (values - below) / (above - below)
    drawn = (f > 0.1) & (f < 0.9)
    assert drawn.sum() > 0.6 * SIZE
    got = stored(kind, grads, STEPS)
    assert ((got == below) | (got == above)).all()
    f = f[drawn]
    z = ((got == above)[:, drawn] - f) / np.sqrt(f * (1 - f))
    assert (np.abs(z.sum(0)) < 7 * np.sqrt(STEPS)).all()
    assert (np.abs((z[1:] * z[:-1]).sum(0)) < 8.5 * np.sqrt(STEPS - 1)).all()


@pytest.mark.parametrize("kind", ["state float16", "state bfloat16", "average bfloat16"])
@pytest.mark.usefixtures("backend")
def test_within_a_step_draws_spread_evenly(kind: str) -> None:
    """Of N terms of Weyl's sequence with the golden ratio, the number below f is N·f within
    3 + (1/ln φ + 1/ln 2)·ln N, which is 37 for 16,384 (Kuipers and Niederreiter, theorem 2.3.4),
    and 2 more as the ratio is one of 32 bits. Independent draws of f = 1/2 would be 64 away."""
    size = 16_384
    last_place = 2.0**-10 if kind == "state float16" else 2.0**-7
    for f in (1 / 8, 819 / 2048, 1 / 2, 7 / 8):
        values = np.full(size, 1 + f * last_place, np.float32)
        ups = stored(kind, values, 20) == 1 + last_place
        assert (np.abs(ups.sum(1) - size * f) <= 39).all()


@pytest.mark.usefixtures("backend")
def test_roles_names_and_seeds_draw_for_themselves() -> None:
    """Over the steps: by Bernstein's inequality as above, with f = 3/8 and products of at most
    5/3, t = 7 gives 64 elements of 6 pairs 1e-6."""
    f, size = 3 / 8, 64
    values = np.full(size, 1 + f * 2.0**-7, np.float32)
    series = [
        stored("state bfloat16", values, STEPS),
        stored("average bfloat16", values, STEPS),
        stored("state bfloat16", values, STEPS, name="v"),
        stored("state bfloat16", values, STEPS, seed=1),
    ]
    z = [((each > 1) - f) / np.sqrt(f * (1 - f)) for each in series]
    for one, other in combinations(z, 2):
        assert (np.abs((one * other).sum(0)) < 7 * np.sqrt(STEPS)).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("backend")
def test_draws_are_those_that_are_documented(kind: str) -> None:
    """first + role · second + number · 2³²/φ, of which the first bits count."""
    grads, values = some_values(kind)
    format, array = KINDS[kind][0], AVERAGE if kind.startswith("average") else FIRST_SLOT
    for step, got in enumerate(stored(kind, grads, 3, seed=5), start=1):
        drawn = drawn_by(values, step, seed=5, array=array)
        np.testing.assert_array_equal(got, unpacked(format, *packed(format, values, drawn)))


@pytest.mark.parametrize("state_dtype", ["bfloat16", "8bit"])
@pytest.mark.usefixtures("native")
def test_second_moments_decay(state_dtype: str) -> None:
    """To a hundredth, in ln 100 / 0.001 steps without a gradient, each of which changes them by a
    thousandth: rounded to nearest, they would stay.

    A draw of a value of m last places, of which it has 0.001·m too many, has the variance
    0.001·m in those, 0.001/m of the value's square: 4,603 of them make a relative variance of at
    most exp(4.603/m) − 1, with m ≥ 128 in bfloat16 and 16 in 8 bits. The draws of different
    tensors are independent: the means of 64 err by 5 deviations of an eighth of the root.

    One element in each block goes on as it is, so that the scale does.
    """
    places, size, steps = {"bfloat16": (128, 256, 4603), "8bit": (16, SIZE, 4603)}[state_dtype]
    format = "bfloat16" if state_dtype == "bfloat16" else "squares8"
    names = [str(number) for number in range(64)]
    opt = gs.AdamW({n: np.zeros(size, "f") for n in names}, state_dtype=state_dtype, lr=1e-6)
    start = np.full(size, 0.5, np.float32)
    start[::256] = 1
    codes = packed(format, start)
    assert codes[0][1] == packed(format, np.where(start == 1, start, 0.999 * start))[0][1]
    for name in names:
        state = opt.state[name]
        state["exp_avg_sq"][...] = codes[0]
        if state_dtype == "8bit":
            state["exp_avg_sq_scale"][...] = codes[1]
    begin = opt.state_as("0", "exp_avg_sq")[1:256].astype(np.float64)
    still = np.where(start == 1, start, 0)
    grads = dict.fromkeys(names, still)
    for _ in range(steps):
        opt.step(grads)
    ends = [opt.state_as(n, "exp_avg_sq").reshape(-1, 256)[:, 1:].astype(np.float64) for n in names]
    mean = np.mean([(end / begin).mean() for end in ends])
    bound = 5 / 8 * np.sqrt(np.expm1(0.001 * steps / places))
    assert abs(mean / 0.999**steps - 1) < bound
