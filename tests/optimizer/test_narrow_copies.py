"""Copies in half precision that steps write beside float32 parameters: ``copies=``."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from tests.gradient_forms import bfloat16
from tests.helpers import Array, assert_rounded

pytestmark = [
    pytest.mark.usefixtures("backend"),
    pytest.mark.skipif(bfloat16 is None, reason="ml_dtypes is not installed"),
]

HALVES = ["float16", bfloat16]


def weights(*shape: int, dtype: str = "float32") -> Array:
    return np.linspace(-1, 1, int(np.prod(shape)), dtype=dtype).reshape(shape)


def pair(*shape: int, dtype: Any = bfloat16) -> tuple[Array, Array]:
    """A parameter, and a copy that holds something else."""
    return weights(*shape), np.full(shape, 7, dtype)


@pytest.mark.parametrize("dtype", HALVES)
def test_special_values(dtype: Any) -> None:
    top = float(np.finfo("float16").max)
    w = np.array([np.nan, np.inf, -np.inf, 3.4e38, -3.4e38, 1e-45, -0.0, top + 16, 6e-8], "f")
    w = np.concatenate([w, -w])
    copy = np.ones(w.size, dtype)
    gs.SGD(w, copies=copy).step(np.zeros_like(w))
    with np.errstate(over="ignore"):
        expected = w.astype(dtype)
    np.testing.assert_array_equal(copy.astype("f"), expected.astype("f"))
    np.testing.assert_array_equal(np.signbit(copy[1:9]), np.signbit(expected[1:9]))
    assert (copy.view(np.uint16)[[0, 9]] == (0x7E00 if dtype == "float16" else 0x7FC0)).all()


def forms() -> dict[str, tuple[Any, Any, set[str]]]:
    """Parameters, copies for them, and the names of those that have one."""
    w, half = weights(3), np.zeros(3, "float16")
    return {
        "array": (w, half, {"0"}),
        "list": ([w, w + 1], [None, half], {"1"}),
        "part of a dict": ({"W": w, "b": w + 1}, {"b": half}, {"b"}),
        "tree": ({"a": [w, {"b": w + 1}], "c": w + 2}, {"a": (half, {})}, {"a.0"}),
        "nothing": ({"W": w}, {}, set()),
        "groups": ([{"params": w}, {"params": [w + 1]}], [None, [half]], {"1.0"}),
        "groups by name": ([{"params": {"a": w}}, {"params": w + 1}], {"1": half}, {"1"}),
        "in a group": ([{"params": w, "copies": half}, {"params": w + 1}], None, {"0"}),
    }


@pytest.mark.parametrize("form", forms())
def test_copies_come_in_the_structure_of_the_parameters(form: str) -> None:
    params, copies, names = forms()[form]
    opt = gs.SGD(params, lr=0.1, copies=copies)
    assert set(opt.copies) == names
    before = {name: copy.copy() for name, copy in opt.copies.items()}
    opt.step(deepcopy(dict(opt.params) if "group" in form else params))
    for name, copy in opt.copies.items():
        np.testing.assert_array_equal(copy, opt.params[name].astype("float16"))
        assert not np.array_equal(copy, before[name])


def test_they_are_written_when_the_optimizer_is_made_and_groups_are_added() -> None:
    (w, half), (v, other) = pair(3, 5), pair(7, dtype="float16")
    opt = gs.Adam({"w": w}, copies={"w": half})
    assert opt.copies["w"] is half
    opt.add_group({"params": {"v": v}, "copies": {"v": other}, "lr": 0.1})
    assert_rounded({"w": half, "v": other}, {"w": w, "v": v})
    opt.step({"w": w.copy(), "v": v.copy()})
    assert_rounded({"w": half, "v": other}, {"w": w, "v": v})


def test_where_parameters_are_left_alone_so_are_copies() -> None:
    params = {"w": weights(9), "v": weights(4)}
    copies = {name: param.astype(bfloat16) for name, param in params.items()}
    opt = gs.AdamW(params, copies=copies)
    copies["v"][...] = 5
    opt.step({"w": np.ones(9, "f"), "v": None})
    assert (copies["v"] == 5).all()
    before = copies["w"].copy()
    infinite = {"w": np.full(9, np.inf, "f"), "v": np.ones(4, "f")}
    assert opt.step(infinite, skip_nonfinite=True).skipped
    np.testing.assert_array_equal(copies["w"], before)
    assert (copies["v"] == 5).all()


def test_within_swap_averages_copies_hold_averages_and_then_what_they_held() -> None:
    w, half = pair(33, 5)
    opt = gs.SGD([w, weights(3)], lr=0.5, ema_decay=0.5, copies=[half, None])
    opt.step([np.ones_like(w), None])
    half.view(np.uint16)[0, 0] = 0x7F81  # a NaN of somebody's
    bits, average = half.view(np.uint16).copy(), opt.ema["0"].astype(bfloat16)
    with opt.swap_averages():
        np.testing.assert_array_equal(half, average)
    np.testing.assert_array_equal(half.view(np.uint16), bits)


@pytest.mark.parametrize("order", ["C", "F"])
def test_within_lookahead_copies_stand_at_the_point_ahead(order: Any) -> None:
    w = np.array(weights(33, 5), order=order)
    half = w.astype(bfloat16)
    opt = gs.SGD([w], lr=0.5, momentum=0.9, copies=[half])
    opt.step([np.array(weights(33, 5) ** 2, order=order)])
    before = half.copy()
    with opt.lookahead():
        assert_rounded({"w": half}, {"w": w})
        assert not np.array_equal(half, before)
    np.testing.assert_array_equal(half, before)
    assert_rounded({"w": half}, {"w": w})


def test_whatever_is_loaded_is_in_the_copies_too(tmp_path: Path) -> None:
    pytest.importorskip("safetensors", reason="pip install '.[checkpoint]'")
    w, half = pair(3, 5)
    opt = gs.Adam({"w": w}, copies={"w": half})
    opt.step({"w": np.ones_like(w)})
    gs.save(tmp_path / "run", opt)
    fresh = np.zeros((3, 5), "f", order="F")
    copy = np.ones((3, 5), bfloat16, order="F")
    resumed = gs.Adam({"w": fresh}, copies={"w": copy})
    gs.load(tmp_path / "run", resumed)
    np.testing.assert_array_equal(fresh, w)
    np.testing.assert_array_equal(copy, half)
    fresh += 1
    resumed.load_state_dict(opt.state_dict())
    assert_rounded({"w": copy}, {"w": fresh})
    copy.flags.writeable = False
    fresh[...] = 0
    with pytest.raises(ValueError, match="the copy of 'w' has become read-only; make it writeable"):
        gs.load(tmp_path / "run", resumed)
    assert (fresh == 0).all()


@pytest.mark.parametrize("twin_of", [deepcopy, lambda both: pickle.loads(pickle.dumps(both))])
def test_deep_copies_and_pickles_have_copies_of_their_own(twin_of: Callable[[Any], Any]) -> None:
    w, half = pair(3, 5)
    opt = gs.Adam({"w": w}, copies={"w": half})
    opt.step({"w": np.ones_like(w)})
    copies, twin = twin_of(({"w": half}, opt))
    before = half.copy()
    opt.step({"w": np.ones_like(w)})
    np.testing.assert_array_equal(twin.copies["w"], before)
    twin.step({"w": np.ones_like(w)})
    assert_rounded(twin.copies, twin.params)
    np.testing.assert_array_equal(copies["w"], half)
