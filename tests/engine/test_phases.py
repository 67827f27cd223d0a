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
        table.measure(list(grads(2).values()))
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


def bad() -> list[Any]:
    return [None, np.ones(2), None, None]


PHASES: dict[str, tuple[Any, tuple[str, ...]]] = {
    "begin": (lambda table, given: None, ()),
    "measure": (lambda table, given: table.measure(given), ()),
    "measure that fails": (lambda table, given: refused(table.measure, bad()), ()),
    "apply to some": (lambda table, given: table.apply(1, given[1:3]), ("b", "c")),
    "apply to none": (lambda table, given: table.apply(0, [None] * 4), ()),
    "apply that fails": (lambda table, given: refused(table.apply, 0, bad()), ()),
    "apply to all": (lambda table, given: table.apply(0, given), tuple("abcd")),
}


def refused(phase: Any, *given: Any) -> None:
    with pytest.raises(ValueError, match="gradient 'b' has shape"):
        phase(*given)


@pytest.mark.parametrize("phase", PHASES)
def test_an_aborted_step_leaves_what_one_without_the_others_does(phase: str) -> None:
    act, updated = PHASES[phase]
    opt, twin = (adam(cautious=True, clip_adaptive=0.01, clip_norm=0.1) for _ in range(2))
    given = [g.astype("float16").T.copy().T for g in grads(1).values()]
    left_out = tuple(i for i, name in enumerate("abcd") if name not in updated)
    last = opt._layout.table.last_step
    table, rows = begun(opt)
    act(table, given)
    assert tuple(table.abort()) == left_out
    expected = (rows, left_out) if updated else last
    assert table.last_step[0] is expected[0]
    assert tuple(table.last_step[1]) == tuple(expected[1])
    with pytest.raises(RuntimeError, match="no step has begun"):
        table.abort()
    other = twin._layout.table
    if updated:
        some = [None if i in left_out else g for i, g in enumerate(given)]
        other.step(some, rows, 0.5, False, False)
    for each in (table, other):
        each.step([g.astype("f8") for g in given], rows, 1.0, False, False)
        each.step(list(grads(2).values()), rows, 1.0, True, False)
    assert_same_bits(everything(opt), everything(twin))


def test_what_was_measured_may_be_applied_in_another_format() -> None:
    opt, twin = (adam(clip_adaptive=0.01, clip_norm=0.1) for _ in range(2))
    rng = np.random.default_rng(3)
    halves = [rng.normal(size=(3, 5)).astype("f2") for _ in "abcd"]
    forms = [
        lambda g: g.astype("f8"),
        lambda g: g.astype("f4"),
        lambda g: g[::-1].copy()[::-1],
        lambda g: g.astype("f8").T.copy().T,
    ]
    for turn in range(6):
        table, _ = begun(opt)
        table.measure([forms[(i + turn) % 4](g) for i, g in enumerate(halves)])
        for i, g in enumerate(halves):
            table.apply(i, [forms[(i + turn + 1 + turn % 3) % 4](g)])
        table.end()
        other, _ = begun(twin)
        other.measure(halves)
        other.apply(0, halves)
        other.end()
        assert_same_bits(everything(opt), everything(twin))


def test_the_last_measure_counts() -> None:
    opt, twin = adam(clip_norm=0.1), adam(clip_norm=0.1)
    twin.step(grads(1), grad_scale=0.5)
    table, _ = begun(opt)
    given = list(grads(1).values())
    assert table.measure([100 * grad for grad in given]) > table.measure(given)
    table.apply(0, given)
    table.end()
    assert_same_bits(everything(opt), everything(twin))


class Acting:
    def __init__(self, act: Any) -> None:
        self.act = act

    def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
        self.act()
        return np.ones((3, 5), np.float32)


def test_phases_within_a_phase() -> None:
    opt, twin = adam(), adam()
    given = list(grads(1).values())
    twin.step(grads(1), grad_scale=0.5)
    table, _ = begun(opt)
    acts = iter([lambda: table.apply(0, given)])
    with pytest.raises(ValueError, match="updated once"):
        table.apply(0, [*given[:3], Acting(lambda: next(acts, int)())])
    table.end()
    assert_same_bits(everything(opt), everything(twin))
    for phase in (table.measure, lambda leaves: table.apply(0, leaves)):
        begun(opt)
        acts = iter([table.abort])
        with pytest.raises(RuntimeError, match="no step has begun"):
            phase([*given[:3], Acting(lambda acts=acts: next(acts, int)())])
    assert_same_bits(everything(opt), everything(twin))
