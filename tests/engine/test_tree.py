"""Sums over a fixed binary tree: the same bits whoever adds which branch."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

import gradstep as gs
from gradstep.reference import tree
from tests.gradient_forms import bfloat16
from tests.helpers import Array

SIZES = (0, 1, 7, 2047, 2048, 2049, 30_011)


def shards(count: int, size: int, dtype: str) -> list[Array]:
    rng = np.random.default_rng(count)
    return [
        (rng.normal(size=size) * 10.0 ** rng.integers(-3, 4, size)).astype(dtype)
        for _ in range(count)
    ]


def summed(sources: list[Array], starts: list[int], count: int, out: str, **options: bool) -> Array:
    result = np.empty(sources[0].size, out)
    (gs.runtime.native() or tree).tree_sum(result, sources, starts, count, **options)
    return result


def by_hand(leaves: list[Array]) -> Array:
    """Level by level: neighbours are added, and an odd last one waits."""
    while len(leaves) > 1:
        pairs = [leaves[i : i + 2] for i in range(0, len(leaves), 2)]
        leaves = [pair[0] + pair[1] if len(pair) == 2 else pair[0] for pair in pairs]
    return leaves[0]


@pytest.mark.usefixtures("backend", "low_threshold")
@pytest.mark.parametrize("count", [1, 2, 3, 5, 6, 7, 8, 13])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_neighbours_are_added_level_by_level(count: int, dtype: str) -> None:
    for size in SIZES:
        leaves = shards(count, size, dtype)
        expected = by_hand(leaves)
        assert np.array_equal(summed(leaves, list(range(count)), count, dtype), expected)
        (gs.runtime.native() or tree).tree_sum(leaves[-1], leaves, range(count), count)
        assert np.array_equal(leaves[-1], expected)


@pytest.mark.usefixtures("backend", "low_threshold")
@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("count", [2, 3, 6, 8, 13])
def test_branches_may_be_summed_anywhere(count: int, narrow: bool) -> None:
    leaves = shards(count, 3000, "float32")
    expected = summed(leaves, list(range(count)), count, "float32", narrow=narrow)
    if narrow:
        assert not np.array_equal(expected, by_hand(leaves))
    travels = "uint16" if narrow else "float32"
    for cut in range(1, count):
        branches, starts = [], []
        for first, last in pairwise((0, cut, count)):
            for lo, hi in tree.nodes(first, last, count):
                branches.append(
                    summed(leaves[lo:hi], list(range(lo, hi)), hi, travels, narrow=narrow)
                )
                starts.append(lo)
        assert np.array_equal(summed(branches, starts, count, "float32", narrow=narrow), expected)


@pytest.mark.skipif(bfloat16 is None, reason="ml_dtypes is not installed")
@pytest.mark.usefixtures("backend")
def test_bfloat16_is_rounded_to_nearest_even() -> None:
    values = np.random.default_rng(0).integers(0, 2**32, 100_000, np.uint32).view(np.float32)
    values = values[np.isfinite(values)]
    with np.errstate(over="ignore"):
        expected = values.astype(bfloat16)
    narrowed = summed([values], [0], 1, "uint16")
    assert np.array_equal(narrowed, expected.view(np.uint16))
    widened = summed([narrowed], [0], 1, "float32")
    assert np.array_equal(widened, expected.astype(np.float32))


@pytest.mark.usefixtures("native", "low_threshold")
@pytest.mark.parametrize("narrow", [False, True])
def test_threads_change_nothing(narrow: bool) -> None:
    leaves = shards(5, 300_001, "float32")
    with gs.runtime.set_backend("numpy"):
        expected = summed(leaves, list(range(5)), 5, "float32", narrow=narrow)
    for threads in (1, 2, 3):
        with gs.runtime.set_num_threads(threads):
            assert np.array_equal(
                summed(leaves, list(range(5)), 5, "float32", narrow=narrow), expected
            )


@pytest.mark.usefixtures("backend")
def test_what_is_no_tree_is_refused() -> None:
    a = shards(3, 4, "float32")
    for sources, starts, count in (
        ([], [], 0),
        (a, [0, 1, 2], 2),
        (a[:2], [0, 1], 3),
        (a[:2], [0, 2], 2),
        (a, [0, 2, 1], 3),
    ):
        with pytest.raises(ValueError, match="nodes of the tree"):
            (gs.runtime.native() or tree).tree_sum(np.empty(4, "f"), sources, starts, count)
    with pytest.raises(TypeError, match="one compute type"):
        summed(a, [0, 1, 2], 3, "float64")
    with pytest.raises(TypeError, match="float64 is not narrowed"):
        summed(shards(2, 4, "float64"), [0, 1], 2, "float64", narrow=True)
    with pytest.raises(ValueError, match="equally long"):
        summed([a[0], a[1][:2]], [0, 1], 2, "float32")
