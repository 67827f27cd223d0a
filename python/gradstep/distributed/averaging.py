"""Parameters and their averages, exchanged on all ranks."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gradstep.arrays.at_once import at_once, filled
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
    """Each rank exchanges its share, and gives it to the others.

    At the end each puts back parameters of which it has kept a copy: where one raises within the
    block, the others may be anywhere.
    """
    error: BaseException | None = None
    try:
        inner.layout.refresh()
        whole.check()
        pairs = pairs_of(inner.layout)
        kept = [view.copy() for view in whole.views()]
    except BaseException as failed:
        error = failed
    meet("swap_averages()", error)
    with lent("swap_averages()", whole.arrays):
        swap = exchanged(pairs)
        try:
            next(swap)
            spread()
            yield
        finally:
            next(swap, None)
            at_once(list(map(filled, whole.views(), kept)))()
