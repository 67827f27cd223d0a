"""How a share travels: in runs, each one message for every rank or shard that has one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gradstep.arrays.parts import BLOCK
from gradstep.distributed.shares import Piece

Array = NDArray[Any]

DIRECT = 64 * 1024  # bytes; a piece of a tensor of so many travels without being copied


class Run(NamedTuple):
    """Pieces of one dtype that follow one another: several small ones, or a part of a large one."""

    pieces: tuple[Piece, ...]
    dtype: np.dtype[Any]
    size: int

    @property
    def alone(self) -> bool:
        return len(self.pieces) == 1


def runs_of(pieces: Iterable[Piece], dtypes: Sequence[np.dtype[Any]], most: int) -> list[Run]:
    """Pieces of tensors with these dtypes as runs of at most `most` elements each."""
    found: list[Run] = []
    small: list[Piece] = []
    filled = 0

    def close() -> None:
        nonlocal small, filled
        if small:
            found.append(Run(tuple(small), dtypes[small[0].tensor], filled))
            small, filled = [], 0

    for piece in cut(pieces, most):
        dtype = dtypes[piece.tensor]
        large = piece.size * dtype.itemsize >= DIRECT
        if small and (large or dtype != dtypes[small[0].tensor] or filled + piece.size > most):
            close()
        if large:
            found.append(Run((piece,), dtype, piece.size))
        else:
            small.append(piece)
            filled += piece.size
    close()
    return found


def cut(pieces: Iterable[Piece], most: int) -> Iterator[Piece]:
    for tensor, begin, end in pieces:
        for start in range(begin, end, most):
            yield Piece(tensor, start, min(start + most, end))


def most_elements(nbytes: int, addends: int) -> int:
    """How long runs may be so that `addends` of them take about `nbytes`; whole blocks."""
    return max(nbytes // (addends * 4 * BLOCK), 16) * BLOCK


def gathered(run: Run, arrays: Sequence[Array], room: Callable[[Run], Array]) -> Array:
    """A run's elements of flat `arrays`, in one piece: where they are, or copied into `room`."""
    if run.alone:
        tensor, begin, end = run.pieces[0]
        return arrays[tensor][begin:end]
    joined = room(run)
    place = 0
    for tensor, begin, end in run.pieces:
        joined[place : place + end - begin] = arrays[tensor][begin:end]
        place += end - begin
    return joined


def scattered(run: Run, joined: Array, arrays: Sequence[Array]) -> None:
    """Put the elements of a run into flat `arrays`."""
    place = 0
    for tensor, begin, end in run.pieces:
        arrays[tensor][begin:end] = joined[place : place + end - begin]
        place += end - begin
