"""What is saved beside the optimizer: objects of a user's own, which get their state back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from tests.helpers import assert_same_bits, everything

pytest.importorskip("safetensors", reason="pip install '.[checkpoint]'")


class Notes:
    """An object of a user's own, with every kind of state."""

    def __init__(self, state: Any) -> None:
        self.state = state

    def state_dict(self) -> Any:
        return self.state

    def load_state_dict(self, state: Any) -> None:
        self.state.clear()  # before it fails
        if "bad" in state:
            raise RuntimeError("no")
        self.state.update(state)


def test_objects_of_ones_own(tmp_path: Path) -> None:
    state = {
        "list": [1, -0.0, 1e-323, True, None, "ü\ud800", {"$tensor": "x", "$$": []}],
        "inf": [np.inf, -np.inf],
        "big": 2**70,
        "places": {"a/b": np.ones(1), "a": {"b": np.zeros(1)}, "a~1b": np.full(1, 2.0)},
        "arrays": [np.arange(3, dtype="i2"), {"mask": np.array(True), "half": np.ones(2, "e")}],
        "swapped": np.arange(3, dtype=">f4"),
    }
    opt, second = gs.SGD(np.ones(2), lr=0.1), gs.Adam(np.ones(3))
    second.step(np.ones(3))
    gs.save(tmp_path / "run", opt, notes=Notes(state), second=second)
    loaded, fresh = Notes({}), gs.Adam(np.ones(3))
    gs.load(tmp_path / "run", opt, notes=loaded, second=fresh)
    np.testing.assert_equal(loaded.state, state)
    assert repr(loaded.state["list"]) == repr(state["list"])
    assert_same_bits(everything(fresh) | {"0": second.params["0"]}, everything(second))
    gs.load(tmp_path / "run", opt, notes=None, second=fresh)

    gs.save(tmp_path / "nan", opt, notes=Notes({"nan": np.nan, "number": np.float32(0.1)}))
    gs.load(tmp_path / "nan", opt, notes=loaded)
    assert repr(loaded.state) == f"{{'nan': nan, 'number': {float(np.float32(0.1))!r}}}"


@pytest.mark.parametrize(
    "value",
    [
        {1: 2},
        {"x": {3}},
        1j,
        np.zeros(2, complex),
        np.array([None]),
        np.array("x"),
        np.ma.masked_array([1.0, 2.0], [True, False]),
    ],
)
def test_what_a_checkpoint_cannot_hold_is_refused(value: Any, tmp_path: Path) -> None:
    opt = gs.SGD(np.ones(2), lr=0.1)
    with pytest.raises(TypeError, match=r"(?s)^others/notes/a\S* is .* a checkpoint holds numbers"):
        gs.save(tmp_path / "run", opt, notes=Notes({"a": value}))
    assert list(tmp_path.iterdir()) == []


def test_a_state_that_contains_itself_is_refused(tmp_path: Path) -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(ValueError, match=r"^others/notes/a/0/\S* is nested more than 100 deep"):
        gs.save(tmp_path / "run", gs.SGD(np.ones(2), lr=0.1), notes=Notes({"a": endless}))
    assert list(tmp_path.iterdir()) == []


def test_an_object_that_hands_out_its_own_dict_gets_it_back(tmp_path: Path) -> None:
    opt, notes = gs.SGD(np.ones(2), lr=0.1), Notes({"x": 1})
    gs.save(tmp_path / "run", opt, notes=Notes({"bad": 1}))
    with pytest.raises(RuntimeError, match="no"):
        gs.load(tmp_path / "run", opt, notes=notes)
    assert notes.state == {"x": 1}


def test_an_optimizer_that_is_busy_is_refused(tmp_path: Path) -> None:
    opt = gs.SGD(np.ones(2), lr=0.1, momentum=0.9)
    gs.save(tmp_path / "run", opt)
    with opt.lookahead():
        with pytest.raises(RuntimeError, match=r"busy with lookahead\(\); call save\(\) after it"):
            gs.save(tmp_path / "run", opt)
        with pytest.raises(RuntimeError, match=r"busy with lookahead\(\); call load\(\) after it"):
            gs.load(tmp_path / "run", opt)

    class Stepping(Notes):
        def state_dict(self) -> Any:
            opt.step(np.ones(2))

    gs.save(tmp_path / "run", opt, notes=Notes({}))
    with pytest.raises(RuntimeError, match=r"busy with save\(\); step again after it"):
        gs.save(tmp_path / "run", opt, notes=Stepping({}))
    with pytest.raises(RuntimeError, match=r"busy with load\(\); step again after it"):
        gs.load(tmp_path / "run", opt, notes=Stepping({}))


def test_all_objects_get_their_state_back(tmp_path: Path) -> None:
    """One that was given twice, too, and those beside one that does not take its state back."""

    class Picky(gs.LossScaler):
        def load_state_dict(self, state_dict: Any) -> None:
            if state_dict["scale"] == 8.0:
                raise RuntimeError("not that one")

    opt = gs.SGD(np.ones(1), lr=0.1)
    gs.save(tmp_path / "file", opt, **{name: gs.LossScaler(2.0) for name in "abcd"})
    scaler, stopping = gs.LossScaler(8.0), gs.EarlyStopping()
    with pytest.raises(RuntimeError, match="not that one"):
        gs.load(tmp_path / "file", opt, a=Picky(8.0), b=scaler, c=scaler, d=stopping)
    assert scaler.scale == 8.0
