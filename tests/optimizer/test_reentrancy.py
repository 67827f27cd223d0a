"""Hyperparameters, groups and state used while a step, a schedule or a context is under way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradstep as gs
from tests.helpers import assert_same_bits, everything

pytestmark = pytest.mark.usefixtures("backend")


def test_a_hyperparameter_set_by_a_schedule_holds_from_the_next_step() -> None:
    w = np.ones(3)

    def lr(step: int) -> float:
        if step == 2:
            opt.weight_decay = 0.5
        return 0.1

    opt = gs.SGD(w, lr=lr)
    for _ in range(6):
        opt.step(np.zeros(3))
    np.testing.assert_allclose(w, 0.95**3, rtol=1e-15)


def test_a_rule_that_a_schedule_changes_holds_from_the_next_step() -> None:
    def lr(step: int) -> float:
        if step == 2:
            opt.momentum = 0.0
        return 0.1

    w, twin = np.ones(2), np.ones(2)
    opt, plain = gs.SGD(w, lr=lr, momentum=0.9), gs.SGD(twin, lr=0.1, momentum=0.9)
    for step in range(4):
        opt.step(np.ones(2))
        plain.step(np.ones(2))
        if step == 2:
            plain.momentum = 0.0
    np.testing.assert_array_equal(w, twin)


def test_a_schedule_may_read_the_optimizer() -> None:
    seen = []

    def lr(step: int) -> float:
        seen.append((sorted(opt.state["0"]), opt.steps, dict(opt.ema)))
        return 0.1

    opt = gs.SGD(np.ones(2), lr=0.1)
    opt.lr = lr
    opt.momentum = 0.9
    opt.step(np.ones(2))
    assert opt.state["0"].keys() == {"momentum_buffer"}
    assert [steps for _, steps, _ in seen] == [0] * len(seen)


def test_a_schedule_is_evaluated_once_in_a_step_for_tensors_apart_in_count() -> None:
    calls = []

    def lr(step: int) -> float:
        calls.append(step)
        return 0.1

    params = [np.ones(2) for _ in range(4)]
    opt = gs.Adam(params, lr=0.1)
    opt.step([np.ones(2), None, np.ones(2), None])
    opt.step([None, np.ones(2), np.ones(2), None])
    opt.lr = lr
    opt.step([np.ones(2)] * 4)
    calls.clear()
    opt.step([np.ones(2)] * 4)
    assert calls == [3]


@pytest.mark.parametrize("error", [ValueError, RuntimeError, KeyboardInterrupt])
def test_a_group_that_cannot_be_added_leaves_no_trace(error: type[BaseException]) -> None:
    def broken(step: int) -> float:
        raise error("broken")

    a = np.ones(2)
    opt = gs.SGD([{"params": {"a": a}}], lr=0.1, momentum=0.9)
    opt.step([{"a": np.ones(2)}])
    before = everything(opt)
    with pytest.raises(error, match="broken"):
        opt.add_group({"params": {"b": np.ones(2)}, "lr": broken})
    assert len(opt.groups) == 1
    assert_same_bits(everything(opt), before)
    opt.add_group({"params": {"b": np.ones(2)}, "lr": 0.2})
    opt.step([{"a": np.ones(2)}, {"b": np.ones(2)}])
    np.testing.assert_allclose(opt.params["b"], 0.8)


@pytest.mark.parametrize("moved", [gs.SGD.swap_averages, gs.SGD.lookahead])
def test_no_parameter_is_moved_for_a_while_where_one_of_them_cannot_be(moved: Any) -> None:
    a, b = np.zeros(2), np.zeros(2)
    opt = gs.SGD({"a": a, "b": b}, lr=1.0, momentum=0.9, ema_decay=0.5)
    opt.step({"a": np.ones(2), "b": np.ones(2)})
    before = everything(opt)
    b.flags.writeable = False
    with pytest.raises(ValueError, match="parameter 'b' has become read-only"), moved(opt):
        pass
    assert_same_bits(everything(opt), before)


READ_ONLY: list[Any] = [lambda opt: opt.state["b"]["momentum_buffer"], lambda opt: opt.ema["b"]]


@pytest.mark.parametrize("array", READ_ONLY, ids=["state", "average"])
def test_a_state_is_not_loaded_into_arrays_that_are_read_only(array: Any) -> None:
    def make() -> gs.SGD:
        return gs.SGD({"a": np.ones(2), "b": np.ones(2)}, lr=0.1, momentum=0.9, ema_decay=0.5)

    opt, other = make(), make()
    other.lr = 0.3
    for each in (opt, other):
        each.step({"a": np.ones(2), "b": np.ones(2)})
    saved, before = other.state_dict(), everything(opt)
    array(opt).flags.writeable = False
    with pytest.raises(ValueError, match=r"'b'.* has become read-only"):
        opt.load_state_dict(saved)
    assert_same_bits(everything(opt), before)
    assert opt.lr == 0.1


def test_a_state_with_a_hyperparameter_of_another_optimizer_is_refused() -> None:
    opt = gs.SGD(np.ones(2), lr=0.1)
    saved = opt.state_dict()
    saved["groups"][0]["betas"] = (0.9, 0.9)
    with pytest.raises(ValueError, match=r"hyperparameters that this optimizer has not: \['betas'"):
        opt.load_state_dict(saved)


class Interrupted:
    """A parameter table whose steps are taken, and then interrupted, as by Ctrl-C meanwhile."""

    def __init__(self, table: Any) -> None:
        self._table = table

    def __getattr__(self, name: str) -> Any:
        return getattr(self._table, name)

    def step(self, *args: Any) -> None:
        self._table.step(*args)
        raise KeyboardInterrupt


def test_a_step_that_was_taken_counts_though_an_interrupt_came_meanwhile() -> None:
    def make() -> gs.Adam:
        return gs.Adam({"a": np.ones(2), "b": np.ones(2)}, lr=0.1, ema_decay=0.5)

    opt, twin = make(), make()
    nothing: dict[str, Any] = {"a": None, "b": None}
    for grads in [nothing | {"b": np.ones(2)}, {"a": np.ones(2), "b": np.ones(2)}]:
        twin.step(grads)
        opt._layout.table = Interrupted(opt._layout.table)
        with pytest.raises(KeyboardInterrupt):
            opt.step(grads)
        opt._layout.table = opt._layout.table._table
        assert opt.steps == twin.steps
    broken = {"a": np.full(2, np.nan), "b": np.ones(2)}
    opt._layout.table = Interrupted(opt._layout.table)
    with pytest.raises(KeyboardInterrupt):
        opt.step(broken, skip_nonfinite=True)
    opt._layout.table = opt._layout.table._table
    with pytest.raises(ValueError, match="shape"):
        opt.step({"a": np.ones(2), "b": np.ones(3)})
    assert opt.steps == 2
    for each in (opt, twin):
        each.step({"a": np.ones(2), "b": np.ones(2)})
    assert_same_bits(everything(opt), everything(twin))
