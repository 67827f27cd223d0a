"""Sums over a fixed binary tree of shards, as csrc/engine/tree.hpp has them.

The node of the shards [lo, hi) is that of [lo, mid) and that of [mid, hi) added, where mid is lo
and the largest power of two below hi - lo: ((0+1)+(2+3))+4 for five.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.reference.packing import from_bfloat16, to_bfloat16

Array = NDArray[Any]


def middle(lo: int, hi: int) -> int:
    return lo + (1 << ((hi - lo - 1).bit_length() - 1))


def nodes(first: int, last: int, shards: int) -> list[tuple[int, int]]:
    """The fewest nodes of the tree over so many shards that are those of [first, last).

    >>> nodes(2, 5, 8)
    [(2, 4), (4, 5)]
    """

    def within(lo: int, hi: int) -> Iterator[tuple[int, int]]:
        if first <= lo and hi <= last:
            yield lo, hi
        elif lo < last and first < hi:
            mid = middle(lo, hi)
            yield from within(lo, mid)
            yield from within(mid, hi)

    return list(within(0, shards)) if first < last else []


def tree_sum(
    out: Array,
    sources: Sequence[Array],
    starts: Sequence[int],
    shards: int,
    narrow: bool = False,
) -> None:
    """Write the sum over shards to `out`.

    Parameters
    ----------
    out
        Flat, of float32, float64, or uint16 for the bits of bfloat16, rounded to nearest even. It
        may be one of the sources.
    sources
        Nodes of the tree, in order, of the same compute type; float32 and bits of bfloat16 may mix.
    starts, shards
        The first shard of each source, and the number behind the last shard of the last one.
    narrow
        Round all sources to bfloat16, and all sums but the last: then it does not matter which
        nodes below the root have come in these bits.
    """
    compute = np.dtype(np.float64 if out.dtype == np.float64 else np.float32)
    if any((s.dtype == np.float64) != (compute == np.float64) for s in sources):
        raise TypeError("sources and out must be of one compute type")
    if narrow and compute == np.float64:
        raise TypeError("float64 is not narrowed")
    if any(s.size != out.size for s in sources):
        raise ValueError("arrays must be equally long")
    borders = [*starts, shards]
    ends = borders[1:]
    given = dict(zip(starts, zip(sources, ends, strict=True), strict=True))

    if not starts or any(first >= last for first, last in pairwise(borders)):
        raise ValueError("sources must be nodes of the tree")

    def node(lo: int, hi: int) -> Array:
        source, end = given.get(lo, (out, hi + 1))
        if end > hi:
            raise ValueError("sources must be nodes of the tree")
        if end == hi:
            return from_bfloat16(source) if source.dtype == np.uint16 else narrowed(source)
        mid = middle(lo, hi)
        total: Array = narrowed(node(lo, mid)) + narrowed(node(mid, hi))
        return total

    def narrowed(values: Array) -> Array:
        return from_bfloat16(to_bfloat16(values)) if narrow else values

    with np.errstate(all="ignore"):
        total = node(starts[0], shards)
        out[...] = to_bfloat16(total) if out.dtype == np.uint16 else total
