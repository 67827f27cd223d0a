"""Which rank owns which elements: one flat order over all tensors, cut into equal shares."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from gradstep.arrays.parts import BLOCK


class Piece(NamedTuple):
    """Elements [begin, end) of a tensor, by its number, in its memory order."""

    tensor: int
    begin: int
    end: int

    @property
    def size(self) -> int:
        return self.end - self.begin


class Shares:
    """The flat order over tensors of these sizes, cut into a share for each rank.

    A cut is the block border next to where equal shares would end, so that shares differ by a block
    at most, whatever the sizes.

    >>> shares = Shares([5000, 3], 2)
    >>> shares.cuts
    [0, 2048, 5003]
    >>> list(shares.pieces(1))
    [Piece(tensor=0, begin=2048, end=5000), Piece(tensor=1, begin=0, end=3)]
    """

    def __init__(self, sizes: Sequence[int], ranks: int) -> None:
        self.sizes = list(sizes)
        self.starts = [0, *accumulate(sizes)]
        self.ranks = ranks
        total = self.starts[-1]
        inner = [self._border(rank * total / ranks) for rank in range(1, ranks)]
        self.cuts = [0, *inner, total]

    def size(self, rank: int) -> int:
        return self.cuts[rank + 1] - self.cuts[rank]

    def part(self, rank: int, tensor: int) -> tuple[int, int]:
        """The elements of a tensor that a rank owns; from 0 to 0 where it has none."""
        start = self.starts[tensor]
        begin = max(self.cuts[rank] - start, 0)
        end = min(self.cuts[rank + 1] - start, self.sizes[tensor])
        return (begin, end) if begin < end else (0, 0)

    def pieces(self, rank: int) -> Iterator[Piece]:
        """The elements of a rank's share, tensor by tensor."""
        first = max(bisect_right(self.starts, self.cuts[rank]) - 1, 0)
        for tensor in range(first, len(self.sizes)):
            if self.starts[tensor] >= self.cuts[rank + 1]:
                return
            begin, end = self.part(rank, tensor)
            if begin < end:
                yield Piece(tensor, begin, end)

    def _border(self, place: float) -> int:
        """The block border next to this place in the flat order."""
        tensor = min(bisect_right(self.starts, place), len(self.sizes)) - 1
        start, size = self.starts[tensor], self.sizes[tensor]
        below = int((place - start) // BLOCK * BLOCK)
        above = min(below + BLOCK, size)
        return start + (below if place - start - below <= above - (place - start) else above)
