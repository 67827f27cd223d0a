"""The new parameters, from their owners to all ranks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from numpy.typing import NDArray

from gradstep.arrays.parts import BLOCK
from gradstep.distributed.runs import Run, gathered, runs_of, scattered
from gradstep.distributed.shares import Shares
from gradstep.distributed.sums import Rooms
from gradstep.distributed.transport import Transport

Array = NDArray[Any]

MOST = 16 * 1024 * BLOCK  # elements in a message


class Spreading:
    """For parameters `arrays`, flat, of which those in `present` have changed."""

    def __init__(
        self,
        transport: Transport,
        shares: Shares,
        arrays: Sequence[Array],
        present: Sequence[bool],
    ) -> None:
        self._transport, self._arrays = transport, arrays
        dtypes = [array.dtype for array in arrays]
        self._runs = [
            runs_of((p for p in shares.pieces(rank) if present[p.tensor]), dtypes, MOST)
            for rank in range(transport.size)
        ]
        self._rooms = Rooms()

    def run(self) -> None:
        """Send this rank's share to all others, and take theirs."""
        transport = self._transport
        if transport.size == 1:
            return
        own = [
            gathered(run, self._arrays, partial(self._room, transport.rank, number))
            for number, run in enumerate(self._runs[transport.rank])
        ]
        received = [
            [] if rank == transport.rank else [self._target(rank, n, r) for n, r in enumerate(runs)]
            for rank, runs in enumerate(self._runs)
        ]
        transport.exchange([own] * transport.size, received)()
        for rank, runs in enumerate(self._runs):
            for run, came in zip(runs, received[rank], strict=False):
                if not run.alone:
                    scattered(run, came, self._arrays)

    def _target(self, rank: int, number: int, run: Run) -> Array:
        """Where a run is received: in the parameter itself, or aside if it has parts of several."""
        if not run.alone:
            return self._room(rank, number, run)
        tensor, begin, end = run.pieces[0]
        return self._arrays[tensor][begin:end]

    def _room(self, rank: int, number: int, run: Run) -> Array:
        return self._rooms((rank, number), run.size, run.dtype)
