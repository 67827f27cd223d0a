"""gs.save and gs.load: continuing bit for bit, and refusing every file that does not fit."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from tests.helpers import Array, assert_same_bits, awkward_params, everything, gradients
from tests.specs import CASE_IDS, CASES

safetensors = pytest.importorskip("safetensors", reason="pip install '.[checkpoint]'")
safetensors_numpy = pytest.importorskip("safetensors.numpy")


def bits(array: Array) -> bytes:
    return array.tobytes("K")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", range(len(CASES)), ids=CASE_IDS)
def test_every_optimizer_continues_bit_for_bit(case: int, dtype: str, tmp_path: Path) -> None:
    spec, variant = CASES[case]
    options = spec.allowed({**variant.options, "ema_decay": 0.9})
    straight = awkward_params(dtype)
    opt = spec.cls(straight, **options)
    for step in range(2):
        opt.step(gradients(straight, step))
    gs.save(tmp_path / "run", opt)
    saved = everything(opt)

    blank = {name: np.full_like(p, 7.0) for name, p in straight.items()}
    other = spec.cls(blank, **options)
    live = {name: dict(slots) for name, slots in other.state.items()}
    gs.load(tmp_path / "run", other)
    assert_same_bits(everything(other), saved)
    for name, slots in live.items():
        assert all(other.state[name][slot] is array for slot, array in slots.items())
    for step in range(2, 4):
        opt.step(gradients(straight, step))
        other.step(gradients(blank, step))
    assert_same_bits(everything(other), everything(opt))


class Loop:
    """A training loop with everything that has a memory."""

    def __init__(self) -> None:
        self.weights = {"w": np.ones((40, 30), np.float32, order="F"), "v": np.ones(2000)}
        self.biases = {"b": np.zeros(()), "c": np.zeros(3)}
        self.lr = gs.schedules.ReduceLROnPlateau(0.1, factor=0.5, patience=0, cooldown=1)
        self.scaler = gs.LossScaler(init_scale=1024.0, growth_interval=2)
        self.stopping = gs.EarlyStopping(patience=3)
        groups = [
            {"params": self.weights, "lr": self.lr, "momentum": gs.schedules.linear_warmup(9)},
            {"params": self.biases, "weight_decay": 0.1, "lr": 0.05},
        ]
        self.opt = gs.RMSprop(groups, momentum=0.9, centered=True, ema_decay=0.9, clip_norm=3.0)

    @property
    def others(self) -> dict[str, Any]:
        return {"scaler": self.scaler, "lr": self.lr, "stopping": self.stopping}

    def train(self, first: int, last: int) -> None:
        for step in range(first, last):
            rng = np.random.default_rng(step)
            params = self.opt.params
            grads = {n: self.scaler.scale * rng.normal(size=p.shape) for n, p in params.items()}
            if step % 3 == 1:
                grads["v"][0] = np.inf
            if step % 2:
                grads["c"] = None
            self.scaler.step(self.opt, grads)
            self.lr.update(1.0 / (step % 4 + 1))
            self.stopping.update(1.0 / (step % 5 + 1), [{"params": self.weights}])

    def everything(self) -> dict[str, Any]:
        states = {name: other.state_dict() for name, other in self.others.items()}
        counts = {name: of["step"] for name, of in self.opt.state_dict()["state"].items()}
        return {**states, "counts": counts, "steps": self.opt.steps, "groups": repr(self.opt)}


def assert_same_loops(one: Loop, other: Loop) -> None:
    assert_same_bits(everything(one.opt), everything(other.opt))
    np.testing.assert_equal(one.everything(), other.everything())


@pytest.mark.usefixtures("native", "low_threshold")
@pytest.mark.parametrize(
    "settings",
    [
        lambda: gs.runtime.set_num_threads(3),
        lambda: gs.runtime.set_isa(gs.runtime.available_isas()[0]),
        lambda: gs.runtime.set_isa(gs.runtime.available_isas()[-1]),
        lambda: gs.runtime.set_backend("numpy"),
    ],
    ids=["threads", "lowest isa", "highest isa", "numpy"],
)
def test_a_whole_loop_continues_under_other_settings(
    settings: Callable[[], Any], tmp_path: Path
) -> None:
    straight = Loop()
    with gs.runtime.set_num_threads(1):
        straight.train(0, 7)
        gs.save(tmp_path / "run", straight.opt, **straight.others)
        counts = straight.everything()["counts"]
        assert 0 < counts["c"] < counts["b"]
        straight.train(7, 12)
    resumed = Loop()
    resumed.train(0, 2)
    with settings():
        gs.load(tmp_path / "run", resumed.opt, **resumed.others)
        resumed.train(7, 12)
    assert_same_loops(resumed, straight)


def test_values_come_back_to_the_bit_into_the_live_arrays(tmp_path: Path) -> None:
    odd = np.array([0x7FF0000000000001, 0x7FF8DEADBEEF0000, 0xFFF0000000000000, 1 << 63], "u8")
    params = {
        "odd": odd.view("f8"),
        "fortran": np.asfortranarray(np.arange(6, dtype="f").reshape(2, 3)),
        "scalar": np.array(-0.0),
        "none": np.zeros((0, 3)),
        "a/b": np.ones(1),
        "$x": np.ones(2),
    }
    opt = gs.Adam(params)
    opt.state["odd"]["exp_avg"][...] = params["odd"][::-1]
    gs.save(tmp_path / "run", opt)
    before = {name: bits(p) for name, p in params.items()}
    state = bits(opt.state["odd"]["exp_avg"])
    for p in (*params.values(), opt.state["odd"]["exp_avg"]):
        p[...] = 3.0
    gs.load(tmp_path / "run", opt)
    assert {name: bits(p) for name, p in params.items()} == before
    assert bits(opt.state["odd"]["exp_avg"]) == state
    c_order = {name: np.ascontiguousarray(p).reshape(p.shape) for name, p in params.items()}
    gs.load(tmp_path / "run", gs.Adam(c_order))
    np.testing.assert_equal(c_order, params)


def test_without_parameters_they_are_left_as_they_are(tmp_path: Path) -> None:
    w = np.ones(3)
    opt = gs.SGD(w, lr=0.1, momentum=0.9)
    opt.step(np.ones(3))
    gs.save(tmp_path / "run", opt, params=False)
    other = gs.SGD(np.full(3, 5.0), lr=0.1, momentum=0.9)
    gs.load(tmp_path / "run", other)
    np.testing.assert_array_equal(other.params["0"], np.full(3, 5.0))
    np.testing.assert_array_equal(other.state["0"]["momentum_buffer"], np.ones(3))


def test_the_same_state_gives_the_same_file(tmp_path: Path) -> None:
    loop = Loop()
    loop.train(0, 3)
    for name in "ab":
        gs.save(tmp_path / name, loop.opt, **loop.others)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_other_programs_can_read_the_arrays(tmp_path: Path) -> None:
    opt = gs.SGD({"w": np.ones(3)}, lr=0.1, momentum=0.9, ema_decay=0.5)
    gs.save(tmp_path / "run", opt)
    arrays = safetensors_numpy.load_file(tmp_path / "run")
    assert sorted(arrays) == [
        "optimizer/ema/w",
        "optimizer/state/w/momentum_buffer",
        "params/w",
    ]
    np.testing.assert_array_equal(arrays["params/w"], np.ones(3))


def test_what_is_no_optimizer_or_has_no_state_is_refused(tmp_path: Path) -> None:
    opt = gs.SGD(np.ones(2), lr=0.1)
    for call in (gs.save, gs.load):
        with pytest.raises(
            TypeError, match=r"over arrays, got builtins\.dict; one over PyTorch.*torch\.save"
        ):
            call(tmp_path / "run", {})  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"scaler must have state_dict\(\) and load_state_dict"):
            call(tmp_path / "run", opt, scaler=len)
    with pytest.raises(TypeError, match=r"returned by load\(\), not given to it"):
        gs.load(tmp_path / "run", opt, scaler=3.0)
    with pytest.raises(TypeError, match="params must be True or False"):
        gs.save(tmp_path / "run", opt, params={})  # type: ignore[arg-type]


def test_without_safetensors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    opt = gs.SGD(np.ones(2), lr=0.1)
    for call in (gs.save, gs.load):
        with pytest.raises(ImportError, match=r'pip install "gradstep\[checkpoint\]"'):
            call(tmp_path / "run", opt)


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (lambda opt: opt.params["b"], "parameter 'b' of opt"),
        (lambda opt: opt.state["b"]["momentum_buffer"], r"state\['b'\]\['momentum_buffer'\]"),
        (lambda opt: opt.ema["b"], "the average of 'b'"),
    ],
    ids=["parameter", "state", "average"],
)
def test_nothing_is_loaded_where_an_array_is_read_only(
    array: Callable[[gs.Optimizer], Array], text: str, tmp_path: Path
) -> None:
    params = {"a": np.ones(2), "b": np.ones(2)}
    opt = gs.SGD(params, lr=0.1, momentum=0.9, ema_decay=0.5)
    plateau = gs.schedules.ReduceLROnPlateau(0.5)
    gs.save(tmp_path / "file", opt, plateau=plateau)
    opt.step({"a": np.ones(2), "b": np.ones(2)})
    plateau.update(1.0)
    before = everything(opt)
    array(opt).flags.writeable = False
    with pytest.raises(ValueError, match=f"{text} has become read-only"):
        gs.load(tmp_path / "file", opt, plateau=plateau)
    assert_same_bits(everything(opt), before)
    assert (opt.steps, plateau.best) == (1, 1.0)
