"""Shares: every element has one owner, cuts are at block borders, and shares are equal."""

from __future__ import annotations

import numpy as np
import pytest

from gradstep.distributed.runs import cut, runs_of
from gradstep.distributed.shares import BLOCK, Piece, Shares

SETS = {
    "one": [100_000],
    "one small": [5],
    "many small": [37] * 500,
    "none": [0, 0],
    "awkward": [1, 0, 1023, 1024, 1025, 5000, 37, 0, 2048, 300_000, 3],
    "random": np.random.default_rng(0).integers(0, 9000, 60).tolist(),
}


@pytest.mark.parametrize("ranks", [1, 2, 3, 4, 7, 64])
@pytest.mark.parametrize("sizes", SETS.values(), ids=SETS)
def test_every_element_has_one_owner(sizes: list[int], ranks: int) -> None:
    shares = Shares(sizes, ranks)
    owners = [np.zeros(size, int) for size in sizes]
    for rank in range(ranks):
        for tensor, begin, end in shares.pieces(rank):
            assert begin % BLOCK == 0
            assert end % BLOCK == 0 or end == sizes[tensor]
            assert shares.part(rank, tensor) == (begin, end)
            owners[tensor][begin:end] += 1
        assert sum(piece.size for piece in shares.pieces(rank)) == shares.size(rank)
    assert all((of_one == 1).all() for of_one in owners)


@pytest.mark.parametrize("ranks", [2, 3, 4, 7, 64])
@pytest.mark.parametrize("sizes", SETS.values(), ids=SETS)
def test_shares_are_equal_to_a_block(sizes: list[int], ranks: int) -> None:
    shares = Shares(sizes, ranks)
    for rank in range(ranks):
        assert abs(shares.size(rank) - sum(sizes) / ranks) <= BLOCK


def test_a_rank_without_elements_has_an_empty_part() -> None:
    shares = Shares([5], 3)
    assert sorted(shares.part(rank, 0) for rank in range(3)) == [(0, 0), (0, 0), (0, 5)]


def test_runs_hold_all_pieces_in_order_each_of_one_dtype() -> None:
    pieces = [Piece(0, 0, 100), Piece(1, 0, 200), Piece(2, 0, 300), Piece(3, 0, 100_000)]
    dtypes = [np.dtype(d) for d in ("f4", "f4", "f8", "f4")]
    runs = runs_of(pieces, dtypes, 40_000)
    assert [piece for run in runs for piece in run.pieces] == list(cut(pieces, 40_000))
    assert [(len(run.pieces), run.dtype.str[1:], run.size) for run in runs] == [
        (2, "f4", 300), (1, "f8", 300), (1, "f4", 40_000), (1, "f4", 40_000), (1, "f4", 20_000),
    ]  # fmt: skip
