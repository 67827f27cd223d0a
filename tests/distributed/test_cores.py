"""Each rank's share of its machine's cores."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradstep as gs
from gradstep.distributed.cores import CPUS, own_place, share_cores, threads_for


def place(machine: int, cpus: list[int]) -> Any:
    mask = np.zeros(CPUS, np.uint8)
    mask[cpus] = 1
    return np.concatenate([np.full(16, machine, np.uint8), np.packbits(mask)])


def threads(places: list[Any], alone: list[int]) -> list[int]:
    return [threads_for(rank, np.array(places), n) for rank, n in enumerate(alone)]


def test_ranks_that_may_run_anywhere_get_equal_parts() -> None:
    everywhere = [place(1, list(range(8)))] * 3
    assert threads(everywhere, [8, 8, 8]) == [2, 2, 2]
    assert threads(everywhere, [4, 4, 4]) == [1, 1, 1]  # of 4 cores with two threads each


def test_ranks_that_are_bound_keep_their_cores() -> None:
    bound = [place(1, [0, 1, 2, 3]), place(1, [4, 5]), place(1, [6])]
    assert threads(bound, [4, 2, 1]) == [4, 2, 1]


def test_some_cores_are_shared() -> None:
    assert threads([place(1, [0, 1, 2, 3]), place(1, [2, 3])], [4, 2]) == [3, 1]


def test_other_machines_do_not_count() -> None:
    places = [place(1, [0, 1]), place(2, [0, 1]), place(2, [0, 1])]
    assert threads(places, [2, 2, 2]) == [2, 1, 1]


def test_there_is_one_thread_at_least() -> None:
    assert threads([place(1, [0])] * 5, [1] * 5) == [1] * 5


class TwoHere:
    """A transport of two ranks on this machine."""

    rank, size = 0, 2

    def all_gather(self, own: Any) -> Any:
        return np.array([own, own])


@pytest.mark.usefixtures("native")
def test_what_somebody_has_chosen_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    transport: Any = TwoHere()
    with gs.runtime.set_num_threads(7):
        share_cores(transport)
        assert gs.runtime.num_threads() == 7
    from gradstep import _native

    before = _native.set_num_threads(0)  # nobody has chosen
    try:
        monkeypatch.setenv("OMP_NUM_THREADS", "5")
        usual = gs.runtime.num_threads()
        share_cores(transport)
        assert gs.runtime.num_threads() == usual
        monkeypatch.delenv("OMP_NUM_THREADS")
        share_cores(transport)
        assert gs.runtime.num_threads() == max(1, usual // 2)
    finally:
        _native.set_num_threads(before)


@pytest.mark.usefixtures("native")
def test_ranks_that_are_threads_leave_the_cores_to_all(monkeypatch: pytest.MonkeyPatch) -> None:
    from gradstep import _native

    def make(comm: Any) -> None:
        gs.distributed.Sharded(gs.SGD, {"w": np.ones(3)}, comm)

    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = _native.set_num_threads(0)  # nobody has chosen
    try:
        usual = gs.runtime.num_threads()
        gs.distributed.in_threads(2 * usual, make)
        assert gs.runtime.num_threads() == usual
    finally:
        _native.set_num_threads(before)


def test_the_place_is_of_this_machine() -> None:
    here = own_place()
    assert np.array_equal(here, own_place())
    assert here[16:].any()
