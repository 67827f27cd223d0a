"""Parameters at the point of a higher loss nearby, and back to the bit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep import runtime
from gradstep.around.slow import NO_AVERAGE, NO_LIMITS, NO_PENALTIES
from gradstep.arrays.at_once import at_once, filled
from gradstep.arrays.loans import addresses_of
from gradstep.arrays.memory import allocate, flat
from gradstep.method.rows import key_of
from gradstep.optimizer.layout import Layout
from gradstep.optimizer.rows_of_step import Rows
from gradstep.optimizer.storage import format_of_param, stored

Array = NDArray[Any]
Copy = Callable[[], object]

EPS = 1e-12  # beside norms: where all gradients are 0 the parameters stay


class Ascent:
    """What finds the point and goes there; made for the table of an optimizer, and held.

    Its table has the parameters as they are stored, without what ``rounding`` keeps beside them:
    that is what a closure sees.
    """

    def __init__(self, layout: Layout, adaptive: bool) -> None:
        self.made_for = layout.table
        self._rule = "asam" if adaptive else "sgd"
        place_of = {name: i for i, group in enumerate(layout.groups) for name in group.names}
        names, params = list(layout.params), list(layout.params.values())
        self._table = layout.table_type(
            [stored(param, format_of_param(param, "nearest")) for param in params],
            [[]] * len(params),
            [[]] * len(params),
            [None] * len(params),
            [layout.copies.stored(name) for name in names],
            list(map(key_of, names)),
            layout._reader([{} for _ in params]),
        )
        rules = [(self._rule, False, False)] * len(layout.groups)
        self._table.assign(rules, [place_of[name] for name in names])
        self._moved = [[bits_of(param)] for param in params]
        for name, copy in layout.copies.arrays.items():
            self._moved[names.index(name)].append(bits_of(copy))
        self._kept = [[beside(array) for array in arrays] for arrays in self._moved]
        self.addresses = addresses_of([*params, *layout.copies.arrays.values()])

    def norm(self, layout: Layout, leaves: Sequence[Any], scale: float, eta: float | None) -> float:
        """The norm of the scaled gradients, or of (|p| + eta)·g."""
        rows, table = self._rows(layout, 0.0, eta), self._table
        try:
            table.begin(rows, scale)
        except RuntimeError:  # an interrupt has left one begun
            table.abort()
            table.begin(rows, scale)
        try:
            norm: float = table.measure(leaves) if eta is None else table.measure(leaves, eta)
        finally:
            table.abort()
        return norm

    def climb(
        self, layout: Layout, leaves: Sequence[Any], scale: float, by: float, eta: float | None
    ) -> None:
        """p ← p + by·g, or p + by·T²·g."""
        self._table.step(leaves, self._rows(layout, by, eta), scale, False, False)

    def _rows(self, layout: Layout, by: float, eta: float | None) -> Rows:
        own = {"lr": -by} if eta is None else {"ascent": by, "eta": eta}
        rows: Rows = []
        for group in layout.groups:
            limits = (-1.0 if group["maximize"] else 1.0, *NO_LIMITS[1:])
            rows.append(((limits, NO_PENALTIES, NO_AVERAGE, own), {}))
        return rows

    def live(self, members: Sequence[int]) -> list[Array]:
        """The bits of these parameters and their copies."""
        return [array for i in members for array in self._moved[i]]

    def copies(self, members: Sequence[int]) -> tuple[Copy, Copy]:
        """What keeps these parameters and their copies, and what puts them back: a call of C code
        each, which no interrupt divides."""
        live = self.live(members)
        kept = [array for i in members for array in self._kept[i]]
        if (native := runtime.native()) is not None:
            copy = native.copy_arrays
            return partial(copy, kept, live, 0), partial(copy, live, kept, 0)
        return at_once(map(filled, kept, live)), at_once(map(filled, live, kept))


def bits_of(array: Array) -> Array:
    """Its elements in memory order, as integers: they are moved as they are."""
    return flat(array).view(f"u{array.dtype.itemsize}")


def beside(array: Array) -> Array:
    kept = allocate(array, 0.0, 0)
    kept[...] = 0  # its pages are there from now on
    return kept


def members_of(leaves: Sequence[Any]) -> list[int]:
    """Which parameters have a gradient."""
    return [i for i, leaf in enumerate(leaves) if leaf is not None]


def finite(*numbers: float) -> bool:
    return bool(np.isfinite(numbers).all())
