"""Ranks that differ, stop or fail where it is least expected, and none that waits for ever."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradstep as gs
from gradstep.distributed import Disagreement, Lost, OtherRankError, Sharded, in_threads
from gradstep.distributed.threads import ThreadRank
from gradstep.distributed.transport import Alone
from tests.distributed.outcomes import ODD, SIZE, after_a_step, outcomes
from tests.distributed.training import everything_of, params_of
from tests.helpers import Array, assert_same_bits, gradients


@pytest.mark.parametrize(
    ("cls", "name", "value"),
    [
        (gs.AdamW, "skip_nonfinite", True),
        (gs.AdamW, "cautious", True),
        (gs.AdamW, "amsgrad", True),
        (gs.AdamW, "ema_decay", 1.0),
        (gs.RMSprop, "centered", True),
        (gs.AdamW, "clip_adaptive_axis", 0),
    ],
)
def test_an_option_that_asks_for_another_step(cls: Any, name: str, value: Any) -> None:
    def work(comm: ThreadRank) -> None:
        params = params_of()
        opt = Sharded(cls, params, comm, lr=0.1, clip_adaptive=0.1)
        opt.step(gradients(params, 0))
        if comm.rank == ODD:
            setattr(opt, name, value)
        opt.step(gradients(params, 1))

    for error in outcomes(work):
        assert isinstance(error, Disagreement)
        assert f"rank {ODD}: groups[0] has {name}={value!r}" in str(error)


def test_states_that_differ() -> None:
    states = []
    for k in range(SIZE):
        opt = gs.AdamW(params_of(), lr=0.1)
        opt.step(gradients(params_of(), k == ODD))
        states.append(opt.state_dict())

    def work(comm: ThreadRank) -> None:
        Sharded(gs.AdamW, params_of(), comm, lr=0.1).load_state_dict(states[comm.rank])

    for error in outcomes(work):
        assert isinstance(error, Disagreement)
        assert "load_state_dict() is of content" in str(error)


def test_errors_within_swapped_averages_leave_each_rank_its_parameters() -> None:
    def work(comm: ThreadRank) -> None:
        params = params_of()
        opt = Sharded(gs.AdamW, params, comm, lr=0.1, ema_decay=0.9)
        opt.step(gradients(params, 0))
        before = everything_of(opt)
        try:
            with opt.swap_averages():
                if comm.rank == ODD:
                    raise KeyError("of this rank alone")
        finally:
            assert_same_bits(everything_of(opt), before)
        raise ValueError("the others go on")

    for rank, error in enumerate(outcomes(work)):
        assert isinstance(error, KeyError if rank == ODD else ValueError)


def test_an_interrupt_while_ranks_meet_ends_all() -> None:
    class Interrupted:
        armed = False

        def __init__(self, comm: ThreadRank) -> None:
            self.rank, self.size, self._comm = comm.rank, comm.size, comm

        def all_gather(self, own: Array) -> Array:
            gathered: Array = self._comm.all_gather(own)
            if self.armed:
                raise KeyboardInterrupt
            return gathered

        def __getattr__(self, name: str) -> Any:
            return getattr(self._comm, name)

    def of(comm: ThreadRank) -> str:
        params, transport = params_of(), Interrupted(comm)
        opt = Sharded(gs.AdamW, params, transport, lr=0.1)
        transport.armed = comm.rank == ODD
        try:
            opt.step(gradients(params, 0))
        except (KeyboardInterrupt, Lost) as error:
            return type(error).__name__
        return "nothing"

    came = in_threads(SIZE, of)
    assert came.pop(ODD) == "KeyboardInterrupt"
    assert came == ["Lost"] * (SIZE - 1)


def test_an_error_that_cannot_be_shown() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise ZeroDivisionError

    def act(opt: Sharded, grads: dict[str, Array], odd: bool) -> None:
        def lr(step: int) -> float:
            raise Mute

        if odd:
            opt.lr = lr
        try:
            opt.step(grads)
        finally:
            opt.lr = 0.1

    errors = after_a_step(act)
    assert isinstance(errors[0], OtherRankError)


def test_what_is_no_option_of_a_step_is_refused() -> None:
    for wrong in ({"with_norm": "no"}, {"skip_nonfinite": 1}, {"shards": 1.5}, {"shards": 0}):
        opt = Sharded(gs.SGD, [np.ones(3)], Alone(), lr=0.1)
        with pytest.raises((TypeError, ValueError), match=f"{next(iter(wrong))} must be"):
            opt.step([np.ones(3)], **wrong)  # type: ignore[arg-type]


def test_parameters_are_checked_and_loss_scalers_refused() -> None:
    params = {"w": np.ones(3)}
    opt = Sharded(gs.SGD, params, Alone(), lr=0.1)
    opt.check(params)
    with pytest.raises(ValueError, match="'w' is not the array that the optimizer trains"):
        opt.check({"w": np.ones(3)})
    with pytest.raises(ValueError, match="params must hold what is trained"):
        opt.check({"v": params["w"]})
    with pytest.raises(TypeError, match="an optimizer of one process, got a Sharded"):
        gs.LossScaler().step(opt, params)  # type: ignore[arg-type]


def test_a_schedule_that_raises_when_it_is_told_in_words() -> None:
    """Ranks differ, and on one of them the schedule cannot be evaluated once more to say so."""

    def work(comm: ThreadRank) -> None:
        looks: list[int] = []

        def lr(step: int) -> float:
            looks.append(step)
            if comm.rank == ODD and looks.count(1) > 1:
                raise RuntimeError("only once")
            return 0.1 if step == 0 or comm.rank != ODD else 0.2

        params = params_of()
        opt = Sharded(gs.AdamW, params, comm, lr=lr)
        opt.step(gradients(params, 0))
        opt.step(gradients(params, 1))

    for error in outcomes(work):
        assert isinstance(error, Disagreement)
        assert f"rank {ODD}: RuntimeError: only once" in str(error)


def test_an_interrupt_before_ranks_meet_is_known_to_all() -> None:
    def work(comm: ThreadRank) -> None:
        interrupted: list[bool] = []

        def lr(step: int) -> float:
            if step == 0 or comm.rank != ODD or interrupted:
                return 0.1
            interrupted.append(True)
            raise KeyboardInterrupt

        params = params_of()
        opt = Sharded(gs.AdamW, params, comm, lr=lr)
        opt.step(gradients(params, 0))
        try:
            opt.step(gradients(params, 1))
        except KeyboardInterrupt:
            raise ValueError("interrupted") from None

    for rank, error in enumerate(outcomes(work)):
        kind = ValueError if rank == ODD else OtherRankError
        assert isinstance(error, kind)


@pytest.mark.parametrize("size", [1, 2])
def test_a_gradient_that_is_another_parameter(size: int) -> None:
    def of(comm: ThreadRank) -> str:
        params = {"a": np.ones(2000, np.float32), "b": np.full(2000, 2, np.float32)}
        opt = Sharded(gs.SGD, params, comm, lr=0.1)
        with pytest.raises(ValueError, match="shares memory") as error:
            opt.step({"a": params["b"], "b": params["a"]})
        assert opt.steps == 0
        return str(error.value)

    assert len(set(in_threads(size, of))) == 1
