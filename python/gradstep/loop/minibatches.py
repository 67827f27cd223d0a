"""Mini-batches of arrays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.values import check_count, check_flag

Array = NDArray[Any]


def minibatches(
    arrays: tuple[Array, ...] | list[Array],
    batch_size: int,
    rng: np.random.Generator | None = None,
    drop_last: bool = False,
) -> Iterator[tuple[Array, ...]]:
    """One epoch of aligned batches: batch, mini-batch and stochastic descent are the same loop.

    Parameters
    ----------
    arrays : sequence of arrays
        All with the same first length n, which counts examples.
    batch_size : int ≥ 1
        n or more gives the whole batch, 1 single examples.
    rng : numpy.random.Generator or None
        Draws the order, reproducibly; batches are then gathered copies. Without one they come in
        order, as views.
    drop_last : bool
        Leave out a last batch that is smaller.

    Raises
    ------
    TypeError, ValueError
        If the arrays are not aligned, batch_size is no positive integer, or drop_last no flag.

    Examples
    --------
    >>> import numpy as np, gradstep as gs
    >>> x, y = np.arange(5.0), np.arange(5) % 2
    >>> [len(labels) for _, labels in gs.minibatches([x, y], batch_size=2)]
    [2, 2, 1]
    >>> next(gs.minibatches([x, y], batch_size=3, rng=np.random.default_rng(0)))
    (array([2., 4., 3.]), array([0, 0, 1]))
    """
    if not isinstance(arrays, (tuple, list)) or not arrays:
        raise TypeError(f"arrays must be a list of at least one array, got {type(arrays).__name__}")
    for i, array in enumerate(arrays):
        if hasattr(array, "toarray"):
            raise TypeError(
                f"arrays[{i}] is a {type(array).__name__}, which is no NumPy array; pass "
                "x.toarray(), or batches of numpy.arange(len(y)), and take the rows x[rows]"
            )
    taken = tuple(np.asarray(array) for array in arrays)
    if any(array.ndim == 0 for array in taken):
        raise ValueError("each of arrays must have a first axis that counts examples, got a scalar")
    lengths = [len(array) for array in taken]
    if len(set(lengths)) != 1:
        raise ValueError(f"arrays must have the same first length, got {lengths}")
    size = check_count("batch_size", batch_size)
    check_flag("drop_last", drop_last)
    if rng is not None and not isinstance(rng, np.random.Generator):
        raise TypeError(
            f"rng must be a numpy.random.Generator or None, got {rng!r}; "
            "make one with numpy.random.default_rng(seed)"
        )
    return batches(taken, lengths[0], size, rng, drop_last)


def batches(
    arrays: tuple[Array, ...],
    count: int,
    size: int,
    rng: np.random.Generator | None,
    drop_last: bool,
) -> Iterator[tuple[Array, ...]]:
    order = None if rng is None else rng.permutation(count)
    for start in range(0, count - size + 1 if drop_last else count, size):
        stop = start + size
        chosen = slice(start, stop) if order is None else order[start:stop]
        yield tuple(array[chosen] for array in arrays)
