"""Bytes copied on the threads of steps."""

from __future__ import annotations

import numpy as np
import pytest

import gradstep as gs

pytestmark = pytest.mark.usefixtures("native", "low_threshold")


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
@pytest.mark.parametrize("pool", [0, 2])
@pytest.mark.parametrize("large", [0, 17 << 20])  # which is written past the caches
def test_all_bytes_of_arrays_of_all_sizes_are_copied(threads: int, pool: int, large: int) -> None:
    from gradstep import _native

    rng = np.random.default_rng(0)
    sizes = [0, 1, 63, 64, 65, 0, 100_003, 7, *[5] * 300, 40_000, large]
    source = [rng.integers(0, 256, size, np.uint8) for size in sizes]
    target = [np.full(size + 2, 7, np.uint8) for size in sizes]
    with gs.runtime.set_num_threads(threads):
        _native.copy_arrays([t[1:-1] for t in target], source, pool)
    for t, s in zip(target, source, strict=True):
        np.testing.assert_array_equal(t[1:-1], s)
        assert (t[0], t[-1]) == (7, 7)


def test_what_does_not_fit_is_refused() -> None:
    from gradstep import _native

    a, b = np.zeros(4), np.ones(5)
    with pytest.raises(ValueError, match="arrays must be contiguous, equally long"):
        _native.copy_arrays([a, a], [a, b], 0)
    with pytest.raises(ValueError, match="lists must be equally long"):
        _native.copy_arrays([a], [], 0)
    with pytest.raises(ValueError, match="arrays must be contiguous, equally long"):
        _native.copy_arrays([np.zeros((4, 2))[:, 0]], [a], 0)
    b = b[:4]
    a.flags.writeable = False
    with pytest.raises(ValueError, match="to copy to, writeable"):
        _native.copy_arrays([a], [b], 0)
    np.testing.assert_array_equal(a, 0)
