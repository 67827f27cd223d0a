"""Stochastic rounding: to one of two neighbours, without bias, and the same wherever it runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradstep as gs
from tests.gradient_forms import bfloat16
from tests.helpers import Array
from tests.narrow import awkward_floats, bits, needs_bfloat16, written

DTYPES = ["float16", pytest.param("bfloat16", marks=needs_bfloat16)]
# Bits of a float32 that are dropped, and its last place at 1.
DROPPED = {"float16": (13, 2.0**-10), "bfloat16": (16, 2.0**-7)}
# Of the last place: how far values are above 1, in bits that both formats drop.
FRACTIONS = np.array([1, 2**9, 2731, 2**12, 5461, 2**13 - 1]) / 2**13
COLUMNS, STEPS = 4096, 64


def dtype_of(name: str) -> Any:
    return bfloat16 if name == "bfloat16" else np.dtype(name)


def drawn(dtype: str, **options: Any) -> Array:
    """Whether each value went up: by step, fraction and column."""
    param = np.ones((len(FRACTIONS), COLUMNS), dtype_of(dtype))
    last_place = DROPPED[dtype][1]
    grad = np.repeat(-FRACTIONS[:, None] * last_place, COLUMNS, 1).astype(np.float32)
    opt = gs.SGD({"w": param}, lr=1.0, rounding="stochastic", **options)
    up = []
    for _ in range(STEPS):
        param[...] = 1
        opt.step({"w": grad})
        places = (param.astype(np.float64) - 1) / last_place
        assert np.isin(places, (0, 1)).all()
        up.append(places == 1)
    return np.array(up)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.usefixtures("backend")
def test_the_result_is_one_of_two_neighbours(dtype: str) -> None:
    """Of any float32: what is exact stays, NaN and infinities do, and what lies beyond the largest
    value may become infinite."""
    values = awkward_floats()
    values = values[~np.isnan(values)] + np.float32(0)  # no −0, which is not written
    stored = written(values, dtype_of(dtype), rounding="stochastic", seed=4).params["w"]
    if dtype == "bfloat16":
        towards_zero = bits(values) >> np.uint32(16) << np.uint32(16)
        away = (towards_zero + np.uint32(0x10000)).view(np.float32)
        towards_zero = towards_zero.view(np.float32)
    else:
        with np.errstate(over="ignore"):
            nearest = values.astype(np.float16)
        too_far = np.abs(nearest.astype(np.float32)) > np.abs(values)
        zeros, ends = np.zeros_like(nearest), np.copysign(np.float16(np.inf), values)
        towards_zero = np.where(too_far, np.nextafter(nearest, zeros), nearest)
        with np.errstate(over="ignore"):
            away = np.where(too_far, nearest, np.nextafter(nearest, ends.astype(np.float16)))
        towards_zero = np.where(np.abs(values) >= 65536, ends, towards_zero)
        towards_zero, away = towards_zero.astype(np.float32), away.astype(np.float32)
    wide = stored.astype(np.float32)
    exact = towards_zero == values
    np.testing.assert_array_equal(bits(wide)[exact], bits(values)[exact])
    assert ((wide == towards_zero) | (wide == away))[~exact].all()
    between = np.abs(values[~exact]) < {"float16": 65504, "bfloat16": 3.3895e38}[dtype]
    assert 0.3 < (wide == away)[~exact][between].mean() < 0.7


@pytest.mark.parametrize("dtype", DTYPES)
def test_mean_and_variance(dtype: str) -> None:
    """Up with probability f, independently, which gives the mean 1 + f·ulp and the variance
    f·(1 − f)·ulp².

    - A fraction's count of n draws has the mean n·f and the variance n·f·(1 − f).
    - The counts of single steps, and those of single columns, would vary more or less than that if
      draws of one step, or of one element, depended on each other. With z of each count, Σz² of k
      counts has the mean k and the variance k·(2 + (1 − 6f(1 − f)) / (m·f(1 − f))), m being the
      draws in a count: the fourth moment of a binomial distribution.

    |z| > 5 has a probability of 6e-7 if normal: 3 · 6 of them give 1e-5 for each format.
    """
    up = drawn(dtype, seed=1)
    for place, f in enumerate(FRACTIONS):
        of_one = up[:, place]
        variance = f * (1 - f)
        z = (of_one.sum() - of_one.size * f) / np.sqrt(of_one.size * variance)
        assert abs(z) < 5, f"mean of {f}: z = {z:.1f}"
        for axis, each in ((0, STEPS), (1, COLUMNS)):
            squares = (of_one.sum(axis) - each * f) ** 2 / (each * variance)
            spread = squares.size * (2 + (1 - 6 * variance) / (each * variance))
            z = (squares.sum() - squares.size) / np.sqrt(spread)
            assert abs(z) < 5, f"variance of {f} along {axis}: z = {z:.1f}"


@pytest.mark.parametrize("dtype", DTYPES)
def test_neighbours_are_independent(dtype: str) -> None:
    """Elements beside each other, rows beside each other, steps one after another, and two seeds:
    the sum of n products of standardised draws has the variance n."""
    up, other = drawn(dtype, seed=1), drawn(dtype, seed=2)
    middle = slice(1, -1)  # where a draw is not rare
    f = FRACTIONS[None, middle, None]
    one, two = ((each[:, middle] - f) / np.sqrt(f * (1 - f)) for each in (up, other))
    for first, second in (
        (one[..., 1:], one[..., :-1]),
        (one[..., 256:], one[..., :-256]),
        (one[:, 1:], one[:, :-1]),
        (one[1:], one[:-1]),
        (one, two),
    ):
        z = (first * second).sum() / np.sqrt(first.size)
        assert abs(z) < 5


@needs_bfloat16
def test_torchaos_rule_has_the_same_distribution() -> None:
    """Two counts of n draws each: the difference has the variance 2·n·f·(1 − f); 6 of |z| < 5."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    rule = pytest.importorskip("torchao.optim.quant_utils", reason="torchao is not installed")
    ours = drawn("bfloat16", seed=3)
    torch.manual_seed(0)
    values = 1 + FRACTIONS[None, :, None] * DROPPED["bfloat16"][1] + np.zeros(ours.shape)
    theirs = rule._fp32_to_bf16_sr(torch.from_numpy(values.astype(np.float32))).float().numpy() > 1
    counts = ours.sum((0, 2)) - theirs.sum((0, 2))
    n = STEPS * COLUMNS
    assert (np.abs(counts / np.sqrt(2 * n * FRACTIONS * (1 - FRACTIONS))) < 5).all()


@pytest.mark.usefixtures("backend")
def test_another_seed_name_or_step_draws_anew() -> None:
    def differing(first: Array, second: Array) -> float:
        return float((first != second).mean())

    params = {name: np.ones(5000, "float16") for name in ("x", "y")}
    grad = np.full(5000, -(2.0**-11), np.float32)  # half of the last place
    twin = {name: param.copy() for name, param in params.items()}
    opt = gs.SGD(params, lr=1.0, rounding="stochastic", seed=5)
    opt.step({"x": grad, "y": grad})
    gs.SGD(twin, lr=1.0, rounding="stochastic", seed=6).step({"x": grad, "y": grad})
    # Of 5,000 fair coins 2,500 differ, ± 35; |z| > 5 beyond 2,323 and 2,677.
    assert 0.464 < differing(params["x"], twin["x"]) < 0.536
    assert 0.464 < differing(params["x"], params["y"]) < 0.536
    before = params["x"].copy()
    params["x"][...] = 1
    opt.step({"x": grad, "y": grad})
    assert 0.464 < differing(params["x"], before) < 0.536
