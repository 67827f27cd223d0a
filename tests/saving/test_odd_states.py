"""States that are no plain dicts: a ValueError or TypeError in words, and nothing is changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from tests.helpers import assert_same_bits, everything, put

pytestmark = pytest.mark.usefixtures("backend")

PLACES: list[tuple[Any, ...]] = [
    ("state",), ("ema",), ("groups",), ("steps",), ("format",), ("optimizer",), ("groups", 0),
    ("groups", 0, "lr"), ("groups", 0, "betas"), ("groups", 0, "clip_adaptive_axis"),
    ("groups", 0, "params"), ("state", "w"),
    ("state", "w", "step"), ("state", "w", "exp_avg"),
]  # fmt: skip


def deep(inner: Callable[[Any], Any]) -> Any:
    nested: Any = 0
    for _ in range(10_000):
        nested = inner(nested)
    return nested


class Raising(Mapping[str, Any]):
    """A mapping whose values cannot be had."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __getitem__(self, key: str) -> Any:
        raise self.error

    def __iter__(self) -> Iterator[str]:
        return iter(("w",))

    def __len__(self) -> int:
        return 1


class Changing(Mapping[str, Any]):
    """A mapping that answers once, and then otherwise."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values_left = dict(values)

    def __getitem__(self, key: str) -> Any:
        return self.values_left.pop(key, "another")

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self.values_left))

    def __len__(self) -> int:
        return len(self.values_left)


ODD: dict[str, Callable[[], Any]] = {
    "dicts": lambda: deep(lambda inner: {"a": inner}),
    "lists": lambda: deep(lambda inner: [inner]),
    "no index": lambda: Raising(IndexError("no index")),
    "not there": lambda: Raising(NotImplementedError("no such thing")),
    "no recursion": lambda: Raising(RecursionError()),
}


def start() -> gs.Adam:
    opt = gs.Adam({"w": np.ones(3)}, lr=0.1, ema_decay=0.5)
    opt.step({"w": np.ones(3)})
    return opt


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_part_of_a_state_is_refused(odd: str) -> None:
    opt = start()
    before, settings = everything(opt), repr(opt)
    for place in PLACES:
        state = opt.state_dict()
        put(*place)(state, ODD[odd]())
        with pytest.raises((TypeError, ValueError)) as caught:
            opt.load_state_dict(state)
        assert "state_dict" in str(caught.value) or place[-1] in (
            "lr",
            "betas",
            "clip_adaptive_axis",
        )
        assert len(str(caught.value)) < 1000
    with pytest.raises((TypeError, ValueError), match="state_dict"):
        opt.load_state_dict(ODD[odd]())
    assert_same_bits(everything(opt), before)
    assert repr(opt) == settings


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_state_of_other_objects_is_refused(odd: str) -> None:
    for each, entries in (
        (gs.LossScaler(), ("scale", "good_steps")),
        (gs.EarlyStopping(), ("best", "bad", "kept")),
        (gs.schedules.ReduceLROnPlateau(0.1), ("value", "best", "bad", "cooling")),
    ):
        before = each.state_dict()
        for entry in entries:
            with pytest.raises((TypeError, ValueError), match=f"{entry}|parameter"):
                each.load_state_dict(before | {entry: ODD[odd]()})
        with pytest.raises((TypeError, ValueError), match="state_dict"):
            each.load_state_dict(ODD[odd]())
        assert each.state_dict() == before


def test_mappings_are_read_once() -> None:
    opt, other = start(), start()
    other.step({"w": np.ones(3)})
    opt.params["w"][:] = other.params["w"]
    state = other.state_dict()
    state["groups"] = [Changing(group) for group in state["groups"]]
    state["state"] = Changing({name: Changing(part) for name, part in state["state"].items()})
    state["ema"] = Changing(state["ema"])
    opt.load_state_dict(Changing(state))
    assert_same_bits(everything(opt), everything(other))
    scaler = gs.LossScaler()
    scaler.load_state_dict(Changing({"scale": 8.0, "good_steps": 1}))
    assert (scaler.scale, scaler.good_steps) == (8.0, 1)


def test_what_contains_itself_is_nested_too_deeply() -> None:
    params: dict[str, Any] = {"w": np.ones(2)}
    params["self"] = params
    with pytest.raises(ValueError, match="params are nested too deeply; does a list or dict con"):
        gs.SGD(params, lr=0.1)
    for read in (gs.global_norm, gs.GradientSum().add, lambda g: gs.clip_grads(g, norm=1.0)):
        with pytest.raises(ValueError, match="gradients are nested too deeply; does a list or "):
            read(params)
