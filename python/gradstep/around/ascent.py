"""Parameters at the point of a higher loss nearby, and back to the bit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple
from weakref import ref

import numpy as np
from numpy.typing import NDArray

from gradstep import runtime
from gradstep.around.slow import NO_AVERAGE, NO_LIMITS, NO_PENALTIES
from gradstep.arrays.at_once import at_once, filled
from gradstep.arrays.loans import addresses_of
from gradstep.arrays.memory import allocate, bases, bits_of
from gradstep.method.rows import key_of
from gradstep.optimizer.front import Optimizer
from gradstep.optimizer.layout import Layout
from gradstep.optimizer.rows_of_step import Rows
from gradstep.optimizer.storage import format_of_param, stored
from gradstep.optimizer.turn import Turn

Array = NDArray[Any]
Copy = Callable[[], object]

EPS = 1e-12  # beside norms: where all gradients are 0 the parameters stay


class Chosen(NamedTuple):
    """Some of the parameters."""

    members: list[int]
    live: list[Array]  # their bits, and their copies'
    kept: list[Array]  # what keeps these
    owners: list[Array]  # whose memory these are on
    bits: list[Array | None]  # what keeps each parameter, of those that are chosen


class Ascent:
    """What finds the point and goes there; made for the table of an optimizer, and held.

    Its table has the parameters as they are stored, without what ``rounding`` keeps beside them:
    that is what a closure sees.
    """

    def __init__(self, layout: Layout, adaptive: bool) -> None:
        self.made_for = layout.table
        place_of = {name: i for i, group in enumerate(layout.groups) for name in group.names}
        names, params = list(layout.params), list(layout.params.values())
        self._moved = [[bits_of(param)] for param in params]
        for name, copy in layout.copies.arrays.items():
            self._moved[names.index(name)].append(bits_of(copy))
        self._kept = [[beside(array) for array in arrays] for arrays in self._moved]
        self._chosen = Chosen([], [], [], [], [None] * len(params))
        self._norm = np.zeros(())  # of the last ascent
        self.table = layout.table_type(
            [stored(param, format_of_param(param, "nearest")) for param in params],
            [[]] * len(params),
            [[self._norm] if adaptive else []] * len(params),
            [None] * len(params),
            [layout.copies.stored(name) for name in names],
            list(map(key_of, names)),
            layout._reader([{} for _ in params]),
            kept=self._kept,
        )
        rules = [("asam" if adaptive else "sgd", False, False)] * len(layout.groups)
        self.table.assign(rules, [place_of[name] for name in names])
        self.within = in_turn(layout)
        self.addresses = addresses_of([*params, *layout.copies.arrays.values()])

    def rows(
        self, layout: Layout, leaves: Sequence[Any], scale: float, rho: float, eta: float | None
    ) -> Rows:
        """For one ascent: once parameters are kept and moved, they are `table.kept_of`."""
        self._norm[...] = 0.0  # and stays so where there are no gradients
        if eta is not None:
            return self._rows(layout, {"rho": rho, "eta": eta})
        self._norm[...] = norm = self._norm_of(layout, leaves, scale)
        return self._rows(layout, {"lr": -rho / (norm + EPS)})

    def climb(self, leaves: Sequence[Any], rows: Rows, scale: float) -> float:
        """Keep the parameters, and p ← p + c·g or p + c·T²·g; returns the norm in c, which may not
        be finite."""
        self.table.step(leaves, rows, scale, False, False)
        return float(self._norm)

    def _norm_of(self, layout: Layout, leaves: Sequence[Any], scale: float) -> float:
        rows, table = self._rows(layout, {"lr": 0.0}), self.table
        try:
            table.begin(rows, scale)
        except RuntimeError:  # an interrupt has left one begun
            table.abort()
            table.begin(rows, scale)
        try:
            norm: float = table.measure(leaves)
        finally:
            table.abort()
        return norm

    def _rows(self, layout: Layout, own: dict[str, float]) -> Rows:
        rows: Rows = []
        for group in layout.groups:
            limits = (-1.0 if group["maximize"] else 1.0, *NO_LIMITS[1:])
            rows.append(((limits, NO_PENALTIES, NO_AVERAGE, own), {}))
        return rows

    def chosen(self, members: list[int]) -> Chosen:
        """These parameters and their copies; held for the next time."""
        if members != self._chosen.members:
            live = [array for i in members for array in self._moved[i]]
            bits: list[Array | None] = [None] * len(self._kept)
            for i in members:
                bits[i] = self._kept[i][0]
            kept = [array for i in members for array in self._kept[i]]
            owners = [base for array in live for base in bases(array)]
            self._chosen = Chosen(members, live, kept, owners, bits)
        return self._chosen

    def back(self, members: list[int], displaced: list[Copy]) -> Copy:
        """What puts these parameters and their copies back and empties a list, once: a call of C
        code, which no interrupt divides."""
        _, live, kept, *_ = self.chosen(members)
        empty = partial(displaced.clear)
        if (native := runtime.native()) is not None:
            return at_once([partial(native.copy_arrays, live, kept, 0), empty])
        return at_once([*map(filled, live, kept), empty])

    def held(self, members: list[int]) -> list[ref[Array]]:
        """While the result lives, the memory of these parameters and copies cannot be resized."""
        return list(map(ref, self.chosen(members).owners))

    def lead_back(self, layout: Layout, members: list[int], displaced: list[Copy]) -> None:
        """Let the next step of `within` start where these parameters were."""
        layout.displaced = displaced
        layout.refresh()
        if displaced:
            layout.table.start_from(self.chosen(members).bits, displaced)


def in_turn(layout: Layout) -> Optimizer:
    """What takes the optimizer's steps for those who have its turn."""
    own: Optimizer = object.__new__(Optimizer)
    own._turn, own._layout = Turn(), layout
    return own


def is_plain(opt: Any) -> bool:
    """Whether its steps are those of every optimizer, and nothing else."""
    return type(opt).step is Optimizer.step and "step" not in vars(opt)


def beside(array: Array) -> Array:
    kept = allocate(array, 0.0, 0)
    kept[...] = 0  # its pages are there from now on
    return kept


def members_of(leaves: Sequence[Any]) -> list[int]:
    """Which parameters have a gradient."""
    return [i for i, leaf in enumerate(leaves) if leaf is not None]


def finite(*numbers: float) -> bool:
    return bool(np.isfinite(numbers).all())
