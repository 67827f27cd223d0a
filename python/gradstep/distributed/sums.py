"""The gradients of all shards, summed where their elements' owner is."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep import runtime
from gradstep.distributed.runs import Run, gathered, most_elements, runs_of
from gradstep.distributed.shares import Shares
from gradstep.distributed.transport import Transport, Wait, nothing
from gradstep.reference import tree

Array = NDArray[Any]
Shard = Sequence[Array | None]

STAGED = 8 * 1024 * 1024  # bytes that are under way in a round
UNDER_WAY = 2  # rounds


class Rooms:
    """Memory by purpose, made once and used again."""

    def __init__(self) -> None:
        self._rooms: dict[Any, Array] = {}

    def __call__(self, purpose: Any, size: int, dtype: Any) -> Array:
        nbytes = size * np.dtype(dtype).itemsize
        room = self._rooms.get(purpose)
        if room is None or room.size < nbytes:
            room = self._rooms[purpose] = np.empty(nbytes, np.uint8)
        return room[:nbytes].view(dtype)


class Sums:
    """For gradients of the same parameters, from shards that are spread in the same way.

    Parameters
    ----------
    transport
    shares
        Who owns what.
    dtypes
        In which the gradient of each tensor is summed.
    present
        Which tensors have one.
    counts
        How many shards each rank has; they follow one another in the order of the ranks.
    narrow
        Whether addends are rounded to bfloat16.
    """

    def __init__(
        self,
        transport: Transport,
        shares: Shares,
        dtypes: Sequence[np.dtype[Any]],
        present: Sequence[bool],
        counts: Sequence[int],
        narrow: bool,
    ) -> None:
        self._transport, self._narrow = transport, narrow
        self.shards = sum(counts)
        borders = [0, *accumulate(counts)]
        self._first = borders[transport.rank]
        self._nodes = [
            tree.nodes(begin, begin + count, self.shards)
            for begin, count in zip(borders, counts, strict=False)
        ]
        most = most_elements(STAGED, sum(map(len, self._nodes)))
        self._runs = [
            runs_of((p for p in shares.pieces(rank) if present[p.tensor]), dtypes, most)
            for rank in range(transport.size)
        ]
        self._own = self._runs[transport.rank]
        self._rooms = Rooms()
        self._places: list[Array] = []  # where each run of the own share is summed
        self._parts: list[Array | None] = []
        self._make_parts(shares, dtypes, present)

    def _make_parts(
        self, shares: Shares, dtypes: Sequence[np.dtype[Any]], present: Sequence[bool]
    ) -> None:
        """Memory for the sums, in which each run, and each tensor's part, is in one piece."""
        room = {d: np.empty(sum(r.size for r in self._own if r.dtype == d), d) for d in set(dtypes)}
        used = dict.fromkeys(room, 0)
        for run in self._own:
            self._places.append(room[run.dtype][used[run.dtype] : used[run.dtype] + run.size])
            used[run.dtype] += run.size
        used = dict.fromkeys(room, 0)
        for tensor, dtype in enumerate(dtypes):
            begin, end = shares.part(self._transport.rank, tensor)
            start = used[dtype]
            size = end - begin if present[tensor] else 0
            self._parts.append(room[dtype][start : start + size] if present[tensor] else None)
            used[dtype] = start + size

    def of(self, shards: Sequence[Shard]) -> list[Array | None]:
        """This rank's part of every sum, from the gradients of its shards; good until the next."""
        if self.shards == 1 and self._transport.size == 1:
            return list(shards[0])
        waits: list[Wait] = []
        for number in range(max(map(len, self._runs)) + UNDER_WAY - 1):
            waits.append(self._begin(number, shards))
            if number >= UNDER_WAY - 1:
                self._finish(number - UNDER_WAY + 1, waits, shards)
        return self._parts

    def _begin(self, number: int, shards: Sequence[Shard]) -> Wait:
        """Send the run of that number of every share but this rank's, and receive its own."""
        transport = self._transport
        if transport.size == 1 or number >= max(map(len, self._runs)):
            return nothing
        place = number % UNDER_WAY
        sent: list[list[Array]] = [[] for _ in range(transport.size)]
        for other, runs in enumerate(self._runs):
            if other != transport.rank and number < len(runs):
                run = runs[number]
                sent[other] = [
                    self._travelling(run, node, shards, ("sent", place, other, node))
                    for node in self._nodes[transport.rank]
                ]
        received = [
            self._received(number, other) if other != transport.rank else []
            for other in range(transport.size)
        ]
        return transport.exchange(sent, received)

    def _received(self, number: int, other: int) -> list[Array]:
        if number >= len(self._own):
            return []
        run, place = self._own[number], number % UNDER_WAY
        return [
            self._rooms((place, other, node), run.size, self._format(run))
            for node in self._nodes[other]
        ]

    def _narrows(self, run: Run) -> bool:
        return self._narrow and run.dtype == np.float32

    def _format(self, run: Run) -> Any:
        """In which a node travels: an addend, and those are rounded wherever they are computed."""
        return np.uint16 if self._narrows(run) else run.dtype

    def _travelling(
        self, run: Run, node: tuple[int, int], shards: Sequence[Shard], purpose: Any
    ) -> Array:
        """The sum of a node's shards, all of which are here, as it is sent."""
        begin, end = node
        leaves = [self._leaf(run, s, shards, purpose) for s in range(begin, end)]
        dtype = self._format(run)
        if len(leaves) == 1 and dtype == run.dtype:
            return leaves[0]
        out = self._rooms(purpose, run.size, dtype)
        self._add(run, out, leaves, list(range(end - begin)), end - begin)
        return out

    def _leaf(self, run: Run, shard: int, shards: Sequence[Shard], purpose: Any) -> Array:
        arrays: Any = shards[shard - self._first]
        return gathered(run, arrays, lambda run: self._rooms((purpose, shard), run.size, run.dtype))

    def _finish(self, number: int, waits: Sequence[Wait], shards: Sequence[Shard]) -> None:
        """Wait for a round, and add up what came with what is here."""
        waits[number]()
        if number >= len(self._own):
            return
        run = self._own[number]
        sources: list[Array] = []
        starts: list[int] = []
        for rank, of_rank in enumerate(self._nodes):
            if rank != self._transport.rank:
                sources += self._received(number, rank)
                starts += [begin for begin, _ in of_rank]
            else:
                mine = [s for begin, end in of_rank for s in range(begin, end)]
                sources += [self._leaf(run, s, shards, ("own", number % UNDER_WAY)) for s in mine]
                starts += mine
        self._add(run, self._places[number], sources, starts, self.shards)

    def _add(
        self, run: Run, out: Array, sources: list[Array], starts: list[int], shards: int
    ) -> None:
        tree_sum = (runtime.native() or tree).tree_sum
        tree_sum(out, sources, starts, shards, self._narrows(run))
