"""What processes that hold parts of the same tensors tell one another within a step."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gradstep.arrays.parts import Part
from gradstep.optimizer.layout import Layout
from gradstep.optimizer.rows_of_step import Rows
from gradstep.optimizer.storage import Kept
from gradstep.reference.places import place_of
from gradstep.reference.units import Units

Array = NDArray[Any]


class ToAll(NamedTuple):
    """An array for all processes; what comes back is that of each, by its number."""

    array: Array


class ToEach(NamedTuple):
    """An array for every process, mostly empty; what comes back is what each had for this one."""

    arrays: list[Array]


class Torn(NamedTuple):
    """A block of units along `axis` that begins in the share of one process, and ends behind it."""

    owner: int
    tensor: int
    axis: int
    begin: int
    end: int


class Measured(NamedTuple):
    """The norm of all gradients, where it was wanted, and the counts of cautious steps."""

    norm: float | None
    counts: Array | None


Exchange = Generator[ToAll | ToEach, list[Array], Measured]


class Rounds:
    """The rounds of the steps of a layout whose parameters are parts.

    Parameters
    ----------
    shares
        Of every process, by its number, the part of every tensor that it has and that part's
        elements, in the order of the layout. One after another they are all tensors in order.
    here
        The number of this process.
    """

    def __init__(self, shares: Sequence[Sequence[tuple[Part, int]]], here: int) -> None:
        self._shares, self._here = shares, here
        self._torn = list(torn_blocks(shares))

    def of_step(
        self,
        layout: Layout,
        rows: Rows,
        leaves: Sequence[Array | None],
        *,
        with_norm: bool,
        skip_nonfinite: bool,
    ) -> Exchange:
        """Yields what to exchange, to be sent what came, until all is known that `apply` needs.

        Parameters
        ----------
        layout, rows
            Whose table has begun a step with these rows.
        leaves
            The gradients of the parts, in the compute type; None for all parts of a tensor alike.
        with_norm
            Whether the norm is wanted, or a limit needs it.
        skip_nonfinite
            Whether the step ends where the norm is not finite, so that counts are not needed.
        """
        norm, counts = None, None
        if with_norm:
            squares, *of_units = layout.table.block_sums(leaves)
            if any(map(is_adaptive, rows)):
                of_units = yield from self._completed(Given(layout, rows, leaves), of_units)
            sums = [squares, *of_units]
            came = yield ToAll(np.concatenate([list(map(len, sums)), *sums]))
            norm = layout.table.limit(*in_order(came))
            if skip_nonfinite and not math.isfinite(norm):
                return Measured(norm, None)
        if any(plan.cautious for plan in layout.plans):
            came = yield ToAll(layout.table.counts(leaves))
            counts = np.sum(came, axis=0)
        return Measured(norm, counts)

    def _completed(
        self, given: Given, sums: list[Array]
    ) -> Generator[ToEach, list[Array], list[Array]]:
        """The sums over units, with those of the block that is torn at the end of this share."""
        torn = [block for block in self._torn if given.limits(block)]
        if not torn:
            return sums
        arrays, own = [np.zeros(0)] * len(self._shares), None
        for block in torn:
            values = given.values(block, *self._shares[self._here][block.tensor])
            if block.owner == self._here:
                own = block, values
            else:
                arrays[block.owner] = np.concatenate(values)
        came = yield ToEach(arrays)
        if own is None:
            return sums
        block, values = own
        behind = [np.split(array, 2) for array in came[self._here + 1 :]]
        units = Units(self._shares[self._here][block.tensor][0], block.axis)
        return [
            np.concatenate([of_kind, units.torn_sums(np.concatenate(pieces))])
            for of_kind, pieces in zip(sums, zip(values, *behind, strict=True), strict=True)
        ]


class Given:
    """What a step is taken with."""

    def __init__(self, layout: Layout, rows: Rows, leaves: Sequence[Array | None]) -> None:
        self._layout, self._leaves = layout, leaves
        self._names = list(layout.params)
        self._place = {
            i: (row, layout.plans[cohort.group])
            for row, cohort in zip(rows, layout.cohorts, strict=True)
            for i in cohort.members
        }

    def limits(self, block: Torn) -> bool:
        """Whether this step has sums of it."""
        row, plan = self._place[block.tensor]
        wanted = is_adaptive(row) and plan.units_axis == block.axis
        return wanted and self._leaves[block.tensor] is not None

    def values(self, block: Torn, part: Part, size: int) -> list[Array]:
        """The gradient and the parameter's values in the elements of a block that are here."""
        begin = min(max(block.begin - part.first, 0), size)
        here = slice(begin, max(begin, min(block.end - part.first, size)))
        name, plan = self._names[block.tensor], self._place[block.tensor][1]
        there = self._layout.state[name], self._layout.formats[name]
        param = place_of(Kept(self._layout.params[name], *there).of_param(plan.rounding))
        grad = self._leaves[block.tensor]
        assert grad is not None
        return [grad[here].astype(np.float64), param.read(here).astype(np.float64)]


def torn_blocks(shares: Sequence[Sequence[tuple[Part, int]]]) -> Iterator[Torn]:
    """At the end of each share, if units are slices along one axis or the other."""
    for owner, share in enumerate(shares):
        held = [i for i, (_, size) in enumerate(share) if size]
        for axis in (0, -1) if held else ():
            part, size = share[held[-1]]
            if (torn := Units(part, axis).torn(size)) is not None:
                yield Torn(owner, held[-1], axis, *torn)


def is_adaptive(row: tuple[Any, ...]) -> bool:
    """Whether it limits units."""
    (limits, *_), *_ = row
    return math.isfinite(limits[3])


def in_order(came: Sequence[Array]) -> list[Array]:
    """Of what all processes have sent, lengths of three arrays and these, each array in one."""
    parts = [np.split(array, 3 + np.cumsum([0, *array[:3]]).astype(int))[1:4] for array in came]
    return [np.concatenate(of_kind) for of_kind in zip(*parts, strict=True)]
