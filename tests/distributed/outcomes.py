"""What comes of it where one rank is not like the others."""

from __future__ import annotations

from collections.abc import Callable

import gradstep as gs
from gradstep.distributed import Sharded, in_threads
from gradstep.distributed.threads import ThreadRank
from tests.distributed.training import everything_of, params_of
from tests.helpers import Array, assert_same_bits, gradients

ODD = 1  # the rank that is not like the others
SIZE = 3


def outcomes(work: Callable[[ThreadRank], object]) -> list[BaseException]:
    """The error of each rank; after it all of them take a step together."""

    def of(comm: ThreadRank) -> BaseException:
        try:
            work(comm)
        except Exception as error:
            comm.barrier()
            return error
        raise AssertionError("no error")

    return in_threads(SIZE, of)


def after_a_step(act: Callable[[Sharded, dict[str, Array], bool], object]) -> list[BaseException]:
    """Of ``act(opt, grads, odd)``; that nothing changed by it, and that the next step works."""

    def work(comm: ThreadRank) -> None:
        params = params_of()
        opt = Sharded(gs.AdamW, params, comm, lr=0.1, ema_decay=0.9)
        opt.step(gradients(params, 0))
        before = everything_of(opt)
        try:
            act(opt, gradients(params, 1), comm.rank == ODD)
        finally:
            assert opt.steps == 1
            assert_same_bits(everything_of(opt), before)
            opt.lr = 0.1
            opt.step(gradients(params, 2))
            assert opt.steps == 2

    return outcomes(work)
