"""One at a time, what others set meanwhile, and what a forked child finds."""

from __future__ import annotations

import os
import threading
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from tests.helpers import assert_same_bits, everything

pytestmark = pytest.mark.usefixtures("backend")


def status_of_child(act: Any) -> int:
    """0 where `act` returns in a forked child."""
    child = os.fork()
    if child == 0:
        try:
            act()
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*fork")
def test_a_child_can_step_though_another_thread_of_its_parent_was_in_a_step() -> None:
    inside, leave = threading.Event(), threading.Event()

    def lr(step: int) -> float:
        inside.set()
        leave.wait(30)
        return 0.1

    opt = gs.SGD(np.ones(2), lr=0.1)
    opt.lr = lr
    thread = threading.Thread(target=opt.step, args=(np.ones(2),))
    thread.start()
    inside.wait(30)
    with pytest.raises(RuntimeError, match="busy with another step"):
        opt.step(np.ones(2))

    def in_child() -> None:
        leave.set()
        opt.step(np.ones(2))

    try:
        assert status_of_child(in_child) == 0
    finally:
        leave.set()
        thread.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*fork")
def test_a_child_is_still_within_what_its_own_thread_was_in() -> None:
    opt = gs.SGD(np.ones(2), lr=0.1, ema_decay=0.5)

    def in_child() -> None:
        with pytest.raises(RuntimeError, match=r"busy with swap_averages\(\)"):
            opt.step(np.ones(2))

    with opt.swap_averages():
        assert status_of_child(in_child) == 0
    assert status_of_child(lambda: opt.step(np.ones(2))) == 0


@pytest.mark.parametrize("change", [{"ema_decay": 0.5}, {"momentum": 0.0}, {"clip_norm": 0.1}])
@pytest.mark.parametrize("at", [0, 1])
def test_what_a_schedule_changes_in_another_group_counts_from_the_next_step(
    change: dict[str, Any], at: int
) -> None:
    def lr(step: int) -> float:
        if step == 2:
            opt.groups[1 - at].update(change)
        return 0.1

    def make(**first: Any) -> gs.SGD:
        groups = [{"params": {"a": np.ones(2)}}, {"params": {"b": np.ones(2)}}]
        groups[at] |= first  # type: ignore[arg-type]
        return gs.SGD(groups, lr=0.1, momentum=0.9)

    opt, twin = make(lr=lr), make()
    for step in range(5):
        for each in (opt, twin):
            each.step({"a": np.ones(2), "b": np.full(2, 2.0)})
        if step == 2:
            twin.groups[1 - at].update(change)
        assert_same_bits(everything(opt), everything(twin))


def test_tensors_with_equal_counts_share_a_row_again() -> None:
    params = [np.ones(2) for _ in range(20)]
    opt = gs.Adam(params, lr=0.1)
    for i in range(20):
        opt.step([np.ones(2) if i == k else None for k in range(20)])
    assert len(opt._layout.rows()) == 1
    opt.step([np.ones(2)] * 20)
    saved = opt.state_dict()
    assert {of_one["step"] for of_one in saved["state"].values()} == {2}
    assert opt.steps == 21


def test_an_error_in_a_schedule_leaves_the_turn_free() -> None:
    def lr(step: int) -> float:
        if step == 1:
            opt.step(np.ones(2))
        return 0.1

    opt = gs.SGD(np.ones(2), lr=0.1)
    opt.lr = lr
    opt.step(np.ones(2))
    for _ in range(2):
        with pytest.raises(RuntimeError, match="busy with another step; step again after it"):
            opt.step(np.ones(2))
    opt.lr = 0.1
    opt.step(np.ones(2))
    assert opt.steps == 2
