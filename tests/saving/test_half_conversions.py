"""State that was saved in one format and is loaded into another: only when asked."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from tests.helpers import assert_same_bits, everything, gradients

ml_dtypes = pytest.importorskip("ml_dtypes")
pytest.importorskip("safetensors", reason="pip install '.[checkpoint]'")

SIZE = 5000  # enough for 8 bits
BF16 = "bfloat16"


def made(dtype: str = "float32", **options: Any) -> gs.Adam:
    rng = np.random.default_rng(0)
    params = {"w": rng.normal(size=SIZE).astype(dtype), "b": np.ones(3, dtype)}
    return gs.Adam(params, lr=1e-3, **options)


def trained(opt: gs.Adam, first: int = 0, last: int = 2) -> gs.Adam:
    for step in range(first, last):
        opt.step(gradients(dict(opt.params), step))
    return opt


FORMATS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "wider state": ("float32", {"state_dtype": BF16}, {"state_dtype": "float32"}),
    "from 8 bits": ("float32", {"state_dtype": "8bit"}, {"state_dtype": None}),
    "to 8 bits": ("float32", {}, {"state_dtype": "8bit"}),
    "narrower state": (BF16, {}, {"state_dtype": BF16}),
    "wider average": (
        "float32",
        {"ema_decay": 0.5, "ema_dtype": "float16"},
        {"ema_decay": 0.5, "ema_dtype": BF16},
    ),
    "without trailing bits": (BF16, {"rounding": "split"}, {"rounding": "nearest"}),
    "with a compensation": (BF16, {"rounding": "stochastic"}, {"rounding": "kahan"}),
    "another one": ("float16", {"rounding": "kahan"}, {"rounding": "stochastic"}),
}


@pytest.mark.parametrize("case", FORMATS)
@pytest.mark.usefixtures("backend")
def test_a_load_converts_as_a_change_of_the_option_does(case: str, tmp_path: Path) -> None:
    dtype, saved, wanted = FORMATS[case]
    opt = trained(made(dtype, **saved))
    gs.save(tmp_path / "run", opt)
    state = opt.state_dict()
    resumed, from_dict = made(dtype, **wanted), made(dtype, **wanted)
    before = everything(resumed)
    plain = {"rounding": "nearest", "state_dtype": None, "ema_dtype": None}
    saved, wanted = plain | saved, plain | wanted
    option, was = next((option, was) for option, was in saved.items() if wanted[option] != was)
    text = re.escape(f"{option}={was!r} in groups[0], and this optimizer {option}=")
    for load in (
        lambda: gs.load(tmp_path / "run", resumed),
        lambda: resumed.load_state_dict(state),
    ):
        with pytest.raises(ValueError, match=text + r".*load with convert=True"):
            load()
    assert_same_bits(everything(resumed), before)

    gs.load(tmp_path / "run", resumed, convert=True)
    from_dict.load_state_dict(state, convert=True)
    for name, param in from_dict.params.items():
        param[...] = opt.params[name]
    opt.groups[0].update(wanted)
    for name, value in wanted.items():
        assert resumed.groups[0][name] == value
    assert_same_bits(everything(trained(resumed, 2, 4)), everything(trained(opt, 2, 4)))
    assert_same_bits(everything(trained(from_dict, 2, 4)), everything(opt))


def test_widening_is_exact(tmp_path: Path) -> None:
    opt, wide = trained(made(state_dtype=BF16)), made()
    gs.save(tmp_path / "run", opt)
    gs.load(tmp_path / "run", wide, convert=True)
    for slot, array in opt.state["w"].items():
        assert wide.state["w"][slot].dtype == np.float32
        np.testing.assert_array_equal(wide.state["w"][slot], array.view(BF16))


def test_those_beside_it_are_converted_too(tmp_path: Path) -> None:
    opt, other = trained(made()), trained(made(state_dtype=BF16))
    gs.save(tmp_path / "run", opt, other=other)
    wide = made()
    with pytest.raises(ValueError, match="other: state_dict has state_dtype='bfloat16' in groups"):
        gs.load(tmp_path / "run", opt, other=wide)
    gs.load(tmp_path / "run", opt, other=wide, convert=True)
    np.testing.assert_array_equal(
        wide.state["w"]["exp_avg"], other.state["w"]["exp_avg"].view(BF16)
    )


@pytest.mark.parametrize(
    ("saved", "text"),
    [
        (
            {"state_dtype": BF16},
            r"state\['w'\]\['exp_avg(_sq)?'\] .* in bfloat16, but .*dtype=None",
        ),
        ({"ema_dtype": "float16"}, r"ema\['w'\] .* in float16, but .*ema_dtype=None asks"),
        ({"rounding": "split"}, r"\['w'\] holds 'trailing_bits', which .*rounding='nearest' does"),
    ],
    ids=["state", "average", "beside"],
)
def test_ones_own_hyperparameters_do_not_convert(
    saved: dict[str, Any], text: str, tmp_path: Path
) -> None:
    gs.save(tmp_path / "run", made(BF16, ema_decay=0.5, **saved))
    opt = trained(made(BF16, ema_decay=0.5))
    before = everything(opt)
    with pytest.raises(ValueError, match=text + ".*convert=True"):
        gs.load(tmp_path / "run", opt, hyperparameters=False)
    assert_same_bits(everything(opt), before)
    gs.load(tmp_path / "run", opt, hyperparameters=False, convert=True)
    assert opt.steps == 0


Change = Callable[[dict[str, Any]], object]

HOSTILE: dict[str, tuple[dict[str, Any], Change, str]] = {
    "no compensation": (
        {"rounding": "kahan"},
        lambda of: of.pop("compensation"),
        "must hold .*'compensation'",
    ),
    "compensation in another format": (
        {"rounding": "kahan"},
        lambda of: of.update(compensation=of["compensation"].astype(np.float16)),
        "'compensation'.*dtype float16; expected .5000,. and uint16",
    ),
    "trailing bits of another shape": (
        {"rounding": "split"},
        lambda of: of.update(trailing_bits=of["trailing_bits"][1:]),
        "'trailing_bits'.*shape .4999,.",
    ),
    "trailing bits and a compensation": (
        {"rounding": "split"},
        lambda of: of.update(compensation=of["trailing_bits"]),
        "holds 'compensation', which this optimizer's rounding='split' does not keep",
    ),
    "no scale": (
        {"state_dtype": "8bit"},
        lambda of: of.pop("exp_avg_scale"),
        r"must hold \['exp_avg_scale', 'exp_avg_sq_scale'\], too",
    ),
    "scale of another shape": (
        {"state_dtype": "8bit"},
        lambda of: of.update(exp_avg_scale=of["exp_avg_scale"][1:]),
        r"'exp_avg_scale'.*shape \(19,\)",
    ),
    "scale of nothing": (
        {"state_dtype": BF16},
        lambda of: of.update(exp_avg_scale=np.ones(20, np.float32)),
        r"holds \['exp_avg_scale'\], which is no state of an optimizer",
    ),
    "slot in another format": (
        {"state_dtype": BF16},
        lambda of: of.update(exp_avg=of["exp_avg"].view(BF16).astype(np.float32)),
        r"'exp_avg'.* in its compute dtype, but .*state_dtype='bfloat16' asks for bfloat16",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_state_is_refused(case: str) -> None:
    options, change, text = HOSTILE[case]
    opt = trained(made(BF16, **options))
    before = everything(opt)
    state = opt.state_dict()
    change(state["state"]["w"])
    with pytest.raises(ValueError, match=text):
        opt.load_state_dict(state)
    assert_same_bits(everything(opt), before)


def test_arrays_of_bfloat16_are_their_bits() -> None:
    opt = trained(made(state_dtype=BF16, ema_decay=0.5, ema_dtype=BF16))
    state = opt.state_dict()
    named: Mapping[str, Any] = {
        **state,
        "ema": {name: array.view(BF16) for name, array in state["ema"].items()},
        "state": {
            name: {"step": of["step"]}
            | {slot: of[slot].view(BF16) for slot in ("exp_avg", "exp_avg_sq")}
            for name, of in state["state"].items()
        },
    }
    resumed = made(state_dtype=BF16, ema_decay=0.5, ema_dtype=BF16)
    resumed.load_state_dict(named)
    for name, array in everything(opt).items():
        if "/" in name:
            assert_same_bits({"": everything(resumed)[name]}, {"": array})


@pytest.mark.parametrize("option", ["state_dtype", "ema_dtype"])
def test_float32_by_default_and_by_name_is_the_same_storage(option: str) -> None:
    for saved, own in ((None, "float32"), ("float32", None)):
        opt = trained(made(ema_decay=0.5, **{option: saved}))
        resumed = made(ema_decay=0.5, **{option: own})
        resumed.load_state_dict(opt.state_dict())
        assert getattr(resumed, option) == own
        assert_same_bits(dict(resumed.state["w"]), dict(opt.state["w"]))
        assert_same_bits(dict(resumed.ema), dict(opt.ema))


@pytest.mark.parametrize("convert", ["yes", 1, None])
def test_convert_is_a_flag(convert: Any) -> None:
    opt = made(BF16)
    with pytest.raises(TypeError, match="convert must be True or False, got"):
        opt.load_state_dict(opt.state_dict(), convert=convert)
