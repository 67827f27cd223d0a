"""Ranks that are threads of one process: to try things out, and for tests."""

from __future__ import annotations

from collections.abc import Callable
from threading import Condition, Thread
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from gradstep.distributed.transport import Lost, Messages, Wait

Array = NDArray[Any]
Result = TypeVar("Result")


class Meeting:
    """Where all threads wait for one another."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.boards: list[dict[int, Any]] = [{} for _ in range(size)]  # what each has put up
        self._changed = Condition()
        self._waiting = self._times = 0
        self._gone: str | None = None

    def wait(self) -> None:
        with self._changed:
            times = self._times
            self._waiting += 1
            if self._waiting == self.size:
                self._waiting, self._times = 0, times + 1
                self._changed.notify_all()
            while self._times == times:
                if self._gone is not None:
                    raise Lost(self._gone)
                self._changed.wait()

    def end(self, why: str) -> None:
        """No rank will meet the others again."""
        with self._changed:
            self._gone = self._gone or why
            self._changed.notify_all()


class ThreadRank:
    """One of the ranks of :func:`in_threads`."""

    in_one_process = True  # its ranks share all cores

    def __init__(self, meeting: Meeting, rank: int) -> None:
        self.rank = rank
        self.size = meeting.size
        self._meeting = meeting
        self._began = self._waited_for = 0

    def exchange(self, sent: Messages, received: Messages) -> Wait:
        number = self._began
        self._began += 1
        self._meeting.boards[self.rank][number] = sent

        def wait() -> None:
            if number != self._waited_for:
                raise RuntimeError("exchanges are waited for in their order")
            self._waited_for += 1
            self._meeting.wait()
            for other, targets in enumerate(received):
                if other != self.rank:
                    sources = self._meeting.boards[other][number][self.rank]
                    for target, source in zip(targets, sources, strict=True):
                        np.copyto(target, source, casting="no")
            self._meeting.wait()
            del self._meeting.boards[self.rank][number]

        return wait

    def all_gather(self, own: Array) -> Array:
        gathered = np.empty((self.size, *own.shape), own.dtype)
        gathered[self.rank] = own
        parts = [[part] for part in gathered]
        self.exchange([[own]] * self.size, parts)()
        return gathered

    def barrier(self) -> None:
        self._meeting.wait()

    def abort(self, text: str) -> None:
        self._meeting.end(text)


def in_threads(size: int, work: Callable[[ThreadRank], Result]) -> list[Result]:
    """What ``work(comm)`` returns on each of `size` ranks, which are threads of this process.

    Raises
    ------
    BaseException
        What the first rank raised that did. The others find it gone, and end, too.

    Examples
    --------
    >>> import numpy as np, gradstep as gs
    >>> def train(comm):
    ...     w = np.ones(4, np.float32)
    ...     opt = gs.distributed.Sharded(gs.SGD, w, comm, lr=0.5)
    ...     info = opt.step(np.full(4, comm.rank, np.float32))
    ...     return w
    >>> gs.distributed.in_threads(2, train)
    [array([0.75, 0.75, 0.75, 0.75], dtype=float32), array([0.75, 0.75, 0.75, 0.75], dtype=float32)]
    """
    meeting = Meeting(size)
    results: list[Any] = [None] * size
    errors: list[tuple[int, BaseException]] = []

    def of(rank: int) -> None:
        try:
            results[rank] = work(ThreadRank(meeting, rank))
        except BaseException as error:
            errors.append((rank, error))
            meeting.end(f"rank {rank} has ended with {type(error).__name__}: {error}")
        else:
            meeting.end(f"rank {rank} has left, and the others wait for it")

    threads = [Thread(target=of, args=(rank,), daemon=True) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0][1]
    return results
