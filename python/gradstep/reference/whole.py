"""What steps take of whole tensors before they begin: csrc/engine/update.cpp has the same."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from operator import setitem
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.arrays.at_once import Change
from gradstep.reference.rules import NOTHING, Rule
from gradstep.reference.update import Update

Array = NDArray[Any]
Scalars = list[float]


class Deriving:
    """A tensor whose rule derives coefficients; without an update where it has no gradient."""

    def __init__(
        self,
        rule: Rule,
        coefficients: dict[str, float],
        kept: Sequence[Array],
        update: Update | None,
    ) -> None:
        self.of_all = rule.whole.of_all
        self.scalars: Scalars = []
        self._whole, self.kept, self._update = rule.whole, kept, update
        self._own = {name: np.float64(value) for name, value in coefficients.items()}
        self.steps = update is not None

    def begin(self, scalars: Iterable[Array]) -> list[float]:
        """What sums there are."""
        self.scalars = [np.float64(scalar[()]) for scalar in scalars]
        if self._update is not None and self._update.factored is not None:
            self._update.average_factors()
        if self._whole.begin is not None:
            self._derive(self._whole.begin(self.scalars, **self._own))
        return [] if self._update is None else self._update.sums()

    @property
    def size(self) -> int:
        return 0 if self._update is None else self._update.size

    def conclude(
        self, sums: Sequence[float], size: int, first: Deriving | None = None
    ) -> list[Change]:
        """Derives the coefficients; the changes that keep the scalars, which are those of `first`
        if there is one."""
        if first is not None:
            self.scalars = list(first.scalars)
        elif (conclude := self._whole.conclude) is not None:
            of = [np.float64(value) for value in sums]
            self._derive(conclude(of, np.float64(size), self.scalars, **self._own))
        if (finish := self._whole.finish) is not None:
            self._derive(finish(self.scalars, **self._own))
        factored = None if self._update is None else self._update.factored
        changes = [] if factored is None else factored.keep()
        return changes + [
            partial(setitem, array, (), value)
            for array, value in zip(self.kept, self.scalars, strict=True)
        ]

    def _derive(self, derived: dict[str, Any]) -> None:
        self._own |= derived
        if self._update is not None:
            self._update.derive(derived)


def derive(tensors: Sequence[Deriving]) -> list[Change]:
    """Derive the coefficients of all; the changes that keep the scalars."""
    together = [tensor for tensor in tensors if tensor.of_all]
    found = [tensor.begin(together[0].kept if tensor.of_all else tensor.kept) for tensor in tensors]
    total: list[float] = []
    for tensor, sums in zip(tensors, found, strict=True):
        if tensor.of_all and tensor.steps:
            total = [a + b for a, b in zip(total or [0.0] * len(sums), sums, strict=True)]
    size = sum(tensor.size for tensor in together)
    changes: list[Change] = []
    for tensor, sums in zip(tensors, found, strict=True):
        if tensor.of_all and any(each.steps for each in together):
            first = None if tensor is together[0] else together[0]
            changes += tensor.conclude(total, size, first)
        elif tensor.steps and not tensor.of_all:
            changes += tensor.conclude(sums, tensor.size)
    return changes


def derives(rule: Rule) -> bool:
    return rule.whole is not NOTHING
