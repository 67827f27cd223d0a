"""Parameters and their averages, exchanged on all ranks."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gradstep.arrays.loans import lent
from gradstep.distributed.inner import Inner
from gradstep.distributed.whole import Whole
from gradstep.optimizer.averages import exchanged, pairs_of


def swapped(
    inner: Inner,
    whole: Whole,
    meet: Callable[[str, BaseException | None], object],
    spread: Callable[[], None],
) -> Iterator[None]:
    """Each rank exchanges its share, and gives it to the others; at the end once more."""
    error: BaseException | None = None
    try:
        inner.layout.refresh()
        whole.check()
        pairs = pairs_of(inner.layout)
    except BaseException as failed:
        error = failed
    meet("swap_averages()", error)
    with lent("swap_averages()", whole.arrays):
        swap = exchanged(pairs)
        next(swap)
        spread()
        try:
            yield
        except BaseException as raised:
            error = raised
        next(swap, None)
        meet("the end of swap_averages()", None)
        spread()
        meet("the end of swap_averages()", error)
