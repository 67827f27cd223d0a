"""A step in phases, and one that is given up half-way, on the parameter tables of both backends."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradstep as gs
from tests.helpers import Array, assert_same_bits, everything

pytestmark = pytest.mark.usefixtures("backend")

OPTIONS: list[dict[str, Any]] = [
    {},
    {"clip_norm": 0.1},
    {"clip_adaptive": 0.01, "clip_tensor_norm": 0.1, "cautious": True},
]


def adam(**options: Any) -> gs.Adam:
    params = {name: np.ones((3, 5), np.float32) for name in "abcd"}
    opt = gs.Adam(params, lr=0.1, ema_decay=0.5, **options)
    opt.step(grads(0))
    return opt


def grads(step: int) -> dict[str, Array]:
    rng = np.random.default_rng(step)
    return {name: rng.normal(size=(3, 5)).astype("f") for name in "abcd"}


def begun(opt: gs.Adam) -> Any:
    table = opt._layout.table
    rows = opt._layout.rows()
    table.begin(rows, 0.5)
    return table, rows


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("ranges", [[(0, 4)], [(0, 1), (1, 4)], [(3, 4), (2, 3), (1, 2), (0, 1)]])
def test_phases_make_a_step(ranges: list[tuple[int, int]], options: dict[str, Any]) -> None:
    opt, twin = adam(**options), adam(**options)
    given = list(grads(1).values())
    given[1] = given[1].astype("float64")
    norm = twin.step(dict(zip("abcd", given, strict=True)), grad_scale=0.5).grad_norm
    table, rows = begun(opt)
    if options:
        assert table.measure(given) == norm
    for first, last in ranges:
        table.apply(first, given[first:last])
    assert table.end() == ()
    assert_same_bits(everything(opt), everything(twin))
    assert table.last_step[0] is rows


def test_what_an_aborted_step_has_updated_has_taken_it_in_full() -> None:
    opt, twin = adam(), adam()
    table, rows = begun(opt)
    table.apply(1, [grads(1)["b"], None])
    with pytest.raises(ValueError, match="shape"):
        table.apply(3, [np.ones(2)])
    assert tuple(table.abort()) == (0, 2, 3)
    assert table.last_step[0] is rows
    assert tuple(table.last_step[1]) == (0, 2, 3)
    twin.step({"a": None, "b": grads(1)["b"], "c": None, "d": None}, grad_scale=0.5)
    assert_same_bits(everything(opt), everything(twin))


def test_a_step_aborted_before_anything_was_updated_has_not_been_taken() -> None:
    opt = adam()
    before = everything(opt)
    last = opt._layout.table.last_step
    table, _ = begun(opt)
    table.measure(list(grads(1).values()))
    assert tuple(table.abort()) == (0, 1, 2, 3)
    assert table.last_step[0] is last[0]
    assert_same_bits(everything(opt), before)
    opt.step(grads(1))
    assert opt.steps == 2


def test_phases_out_of_order_are_refused() -> None:
    opt = adam()
    table = opt._layout.table
    for phase in (table.end, table.abort, lambda: table.apply(0, []), lambda: table.measure([])):
        with pytest.raises(RuntimeError, match="no step has begun"):
            phase()
    begun(opt)
    for again in (lambda: begun(opt), lambda: opt.step(grads(1)), lambda: table.assign([], [])):
        with pytest.raises(RuntimeError, match="a step has begun; end or abort it first"):
            again()
    with pytest.raises(ValueError, match="expected 4 gradients, got 1"):
        table.measure([None])
    with pytest.raises(ValueError, match="not so many tensors"):
        table.apply(3, [None, None])
    table.apply(0, [grads(1)["a"]])
    before = everything(opt)
    with pytest.raises(ValueError, match="updated once in a step"):
        table.apply(0, list(grads(1).values()))
    assert_same_bits(everything(opt), before)
    table.end()
