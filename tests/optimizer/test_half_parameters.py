"""Parameters in half precision: moved for a while, put back, kept and copied, to the bit."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from tests.helpers import assert_same_bits, everything

ml_dtypes = pytest.importorskip("ml_dtypes")

pytestmark = pytest.mark.usefixtures("backend")

SIZE = 40_000  # several runs
ROUNDINGS = [
    (dtype, rounding)
    for dtype in ("bfloat16", "float16")
    for rounding in ("nearest", "stochastic", "kahan", "split")
    if (dtype, rounding) != ("float16", "split")
]


def made(dtype: str, **options: Any) -> gs.SGD:
    rng = np.random.default_rng(0)
    params = {
        "w": np.asfortranarray(rng.normal(size=(SIZE // 100, 100)).astype(dtype)),
        "b": rng.normal(size=3).astype(dtype),
    }
    return gs.SGD(params, lr=0.1, momentum=0.9, **options)


def trained(opt: gs.SGD, first: int = 0, last: int = 3) -> gs.SGD:
    for step in range(first, last):
        rng = np.random.default_rng(step)
        opt.step({n: rng.normal(size=p.shape).astype(p.dtype) for n, p in opt.params.items()})
    return opt


def to_the_bit(opt: gs.Optimizer) -> dict[str, bytes]:
    """NaNs, too."""
    return {name: array.tobytes() for name, array in everything(opt).items()}


@pytest.mark.parametrize(("dtype", "rounding"), [*ROUNDINGS, ("float32", "nearest")])
@pytest.mark.parametrize("ema_dtype", [None, "bfloat16", "float16"])
def test_averages_are_swapped_in_and_out(dtype: str, rounding: str, ema_dtype: str | None) -> None:
    opt = trained(made(dtype, rounding=rounding, ema_decay=0.5, ema_dtype=ema_dtype))
    opt.params["w"].view(f"u{opt.params['w'].itemsize}")[:, 0] |= 0x7FA1  # NaNs, among others
    before = to_the_bit(opt)
    expected = {name: opt.state_as(name, "ema").astype(dtype) for name in opt.params}
    assert (expected["b"] != opt.params["b"]).any()
    with opt.swap_averages():
        assert_same_bits({name: p.copy() for name, p in opt.params.items()}, expected)
    assert to_the_bit(opt) == before
    with pytest.raises(ZeroDivisionError), opt.swap_averages():
        raise ZeroDivisionError
    assert to_the_bit(opt) == before


@pytest.mark.parametrize(("dtype", "rounding"), ROUNDINGS)
@pytest.mark.parametrize("state_dtype", [None, "bfloat16", "8bit"])
def test_lookahead(dtype: str, rounding: str, state_dtype: str | None) -> None:
    opt = trained(made(dtype, rounding=rounding, state_dtype=state_dtype))
    before = to_the_bit(opt)
    factor = np.float32(0.1 * 0.9)
    expected = {
        name: (opt.state_as(name, "param") - factor * opt.state_as(name, "momentum_buffer")).astype(
            dtype
        )
        for name in opt.params
    }
    with opt.lookahead():
        assert_same_bits({name: p.copy() for name, p in opt.params.items()}, expected)
    assert to_the_bit(opt) == before


@pytest.mark.parametrize(("dtype", "rounding"), ROUNDINGS)
@pytest.mark.parametrize("make", [copy.deepcopy, lambda opt: pickle.loads(pickle.dumps(opt))])
def test_copies_go_on_alike(make: Any, dtype: str, rounding: str) -> None:
    options = {"ema_decay": 0.5, "ema_dtype": "bfloat16", "state_dtype": "8bit", "seed": 3}
    opt = trained(made(dtype, rounding=rounding, **options))
    twin = make(opt)
    assert_same_bits(everything(twin), everything(opt))
    before = everything(opt)
    trained(twin, 3, 5)
    assert_same_bits(everything(opt), before)
    assert_same_bits(everything(twin), everything(trained(opt, 3, 5)))


@pytest.mark.parametrize(("dtype", "rounding"), ROUNDINGS)
def test_the_best_parameters_are_restored(dtype: str, rounding: str) -> None:
    opt, stopping = trained(made(dtype, rounding=rounding), 0, 1), gs.EarlyStopping()
    stopping.update(0.5, opt.params)
    best = {name: param.copy() for name, param in opt.params.items()}
    trained(opt, 1, 3)
    another = gs.EarlyStopping()
    another.load_state_dict(stopping.state_dict())
    another.restore(opt.params)
    assert_same_bits(dict(opt.params), best)


def test_any_values_can_be_written_into_a_split_parameter() -> None:
    """Whatever trailing bits there are, zeros stay zeros, and no number becomes a NaN."""
    written = np.arange(2**16, dtype=np.uint16)
    written = written[~np.isnan(written.view("bfloat16").astype(np.float32))]
    w = np.ones(written.size, "bfloat16")
    opt = gs.SGD([w], lr=0.0, rounding="split")
    for trailing in (0, 1, 0x7FFF, 0x8000, 0xFFFF):
        w[...] = written.view("bfloat16")
        opt.state["0"]["trailing_bits"][...] = trailing
        opt.step([np.zeros(w.size, np.float32)])
        np.testing.assert_array_equal(w.view(np.uint16), written)


class TestStateAs:
    @pytest.mark.parametrize(("dtype", "rounding"), ROUNDINGS)
    def test_a_parameter_is_what_is_trained(self, dtype: str, rounding: str) -> None:
        opt = trained(made(dtype, rounding=rounding))
        for name, param in opt.params.items():
            value = opt.state_as(name, "param")
            assert (value.dtype, value.shape) == (np.float32, param.shape)
            exact = np.array_equal(value, param.astype(np.float32))
            assert exact == (rounding in ("nearest", "stochastic"))
            if rounding == "split":
                np.testing.assert_array_equal(rounded_up(value), param)

    def test_split_trains_in_float32(self) -> None:
        opt, wide = made("bfloat16", rounding="split"), made("float32")
        for name, param in wide.params.items():
            param[...] = opt.params[name]
        for step in range(5):
            rng = np.random.default_rng(step)
            shapes = {name: param.shape for name, param in opt.params.items()}
            grads = {n: rng.normal(size=s).astype(np.float32) for n, s in shapes.items()}
            opt.step(grads)
            wide.step(grads)
        for name, param in wide.params.items():
            np.testing.assert_array_equal(opt.state_as(name, "param"), param)

    def test_slots_and_averages(self) -> None:
        opt = trained(made("float32", state_dtype="bfloat16", ema_decay=0.5, ema_dtype="float16"))
        buffer, average = opt.state["w"]["momentum_buffer"], opt.ema["w"]
        for dtype in ("float32", np.float64):
            values = opt.state_as("w", "momentum_buffer", dtype)
            assert (values.dtype, values.flags.f_contiguous) == (np.dtype(dtype), True)
            np.testing.assert_array_equal(values, buffer.view("bfloat16").astype(dtype))
            np.testing.assert_array_equal(opt.state_as("w", "ema", dtype), average.astype(dtype))
        opt.state_as("b", "param")[...] = 7.0
        assert not (opt.params["b"] == 7.0).any()
        eight = trained(made("float32", state_dtype="8bit"))
        exact = trained(made("float32"))
        values, wanted = (o.state_as("w", "momentum_buffer") for o in (eight, exact))
        assert 0 < np.abs(values - wanted).max() < 0.1 * np.abs(wanted).max()

    def test_of_float64(self) -> None:
        opt = trained(made("float64", ema_decay=0.5))
        for slot in ("param", "momentum_buffer", "ema"):
            assert opt.state_as("w", slot).dtype == np.float64
            assert opt.state_as("w", slot, "float32").dtype == np.float32

    def test_compensations_are_numbers_and_trailing_bits_none(self) -> None:
        opt = trained(made("float16", rounding="kahan"))
        lost = opt.state_as("w", "compensation")
        np.testing.assert_array_equal(
            opt.state_as("w", "param"), opt.params["w"].astype(np.float32) + lost
        )
        split = trained(made("bfloat16", rounding="split"))
        with pytest.raises(ValueError, match=r"are no numbers; .*are state_as\('w', 'param'\)"):
            split.state_as("w", "trailing_bits")

    def test_what_is_not_there(self) -> None:
        opt = made("bfloat16")
        with pytest.raises(KeyError, match="no parameter 'v'; these are: w, b"):
            opt.state_as("v", "param")
        with pytest.raises(KeyError, match="'w' has no 'ema'; it has: param, momentum_buffer"):
            opt.state_as("w", "ema")
        with pytest.raises(ValueError, match="dtype must be 'float32' or 'float64', got 'float16'"):
            opt.state_as("w", "param", "float16")
        opt.ema_decay = 0.5
        assert opt.state_as("w", "ema").shape == opt.params["w"].shape
        with opt.swap_averages(), pytest.raises(RuntimeError, match=r"busy with swap_averages\(\)"):
            opt.state_as("w", "param")


def rounded_up(values: Any) -> Any:
    """Rounded to bfloat16, halves away from zero."""
    upper = (values.view(np.uint32) + np.uint32(0x8000)) >> np.uint32(16)
    return upper.astype(np.uint16).view("bfloat16")


@pytest.mark.parametrize(
    ("key", "options"),
    [
        ("trailing_bits", {"rounding": "split"}),
        ("compensation", {"rounding": "kahan"}),
        ("momentum_buffer_scale", {"state_dtype": "8bit"}),
    ],
)
def test_what_lies_beside_is_not_written_where_it_is_read_only(
    key: str, options: dict[str, Any]
) -> None:
    opt = trained(made("bfloat16", **options))
    opt.state["w"][key].flags.writeable = False
    before = to_the_bit(opt)
    with pytest.raises(ValueError, match=rf"^state\['w'\]\['{key}'\] has become read-only"):
        trained(opt)
    assert to_the_bit(opt) == before
    opt.state["w"][key].flags.writeable = True
    trained(opt)
