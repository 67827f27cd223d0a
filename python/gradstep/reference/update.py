"""The update of one tensor, in runs of a few thousand elements: the engine's loops, in NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.arrays.at_once import Change
from gradstep.arrays.parts import Part
from gradstep.reference.arithmetic import clamp, soft_threshold
from gradstep.reference.draws import AVERAGE, FIRST_SLOT, PARAM, Draws, OfRun
from gradstep.reference.factored import FactoredPlace
from gradstep.reference.measures import Terms, of_elements
from gradstep.reference.places import Place
from gradstep.reference.rules import Rule

Array = NDArray[Any]
Run = Callable[[], list[Change]]

RUN = 16384  # elements worked on at a time


def of_factors(rule: Rule) -> Rule:
    assert rule.whole.of_factors is not None
    return rule.whole.of_factors


class Update:
    """Of a tensor's arrays, by its gradient and a row as numbers, whose sign `scale` has."""

    def __init__(
        self,
        rule: Rule,
        cautious: bool,
        part: Part,
        param: Place,
        slots: Sequence[Place],
        average: Place | None,
        copy: Place | None,
        grad: Array,
        scale: float,
        limit: float,
        row: tuple[Any, ...],
        key: int,
    ) -> None:
        (*_, clip_value), (l2, decay, l1), (keep, take), coefficients, draws = row
        self.cautious, self._part = cautious, part
        self.param, self._slots, self._average, self._copy = param, slots, average, copy
        self.rule = rule if self.factored is None else of_factors(rule)
        self._grad = grad
        self._with_extras = clip_value != math.inf or l2 != 0 or l1 != 0 or average is not None
        cast = self._cast = param.dtype.type
        self.coefficients = coefficients
        self._own = {name: cast(value) for name, value in coefficients.items()}
        self._clip_value, self._l2, self._decay, self._l1 = map(cast, (clip_value, l2, decay, l1))
        self._scale = cast(scale) * cast(limit)
        self._whole_scale = np.float64(scale) * np.float64(limit)
        self._keep, self._take = cast(keep), cast(take)
        self._drawn = Draws(draws, key, part)
        self._cautious_scale: Any = None

    @property
    def factored(self) -> FactoredPlace | None:
        """The first slot, where it is kept by factors."""
        first = self._slots[0] if self._slots else None
        return first if isinstance(first, FactoredPlace) else None

    def average_factors(self) -> None:
        assert self.factored is not None
        factors = self.rule.whole.factors
        assert factors is not None
        self.factored.average(self._grad, self._whole_scale, *factors(**self.coefficients))

    @property
    def size(self) -> int:
        return self._grad.size

    def derive(self, derived: dict[str, Any]) -> None:
        """Take over coefficients that follow from sums."""
        self._own |= {name: self._cast(value) for name, value in derived.items()}

    def sums(self) -> list[float]:
        """Of the rule's terms."""

        def terms(run: slice) -> Sequence[Array]:
            p, whole = self.param.read(run), self.rule.whole
            g = self._gradient(run, p, whole.factors is None)  # these are of scaled gradients
            found: Sequence[Array] = whole.terms(  # type: ignore[misc]
                p, g, *self._read_slots(run), **self._own
            )
            return found

        def term(k: int) -> Terms:
            return lambda run: terms(run)[k]

        if self.rule.whole.terms is None:
            return []
        count = len(terms(slice(0, 0)))
        return [of_elements(term(k), 0, self.size) for k in range(count)]

    def count_agreeing(self) -> float:
        """How many elements of the part a cautious step would move against their gradient."""

        def agreeing(run: slice) -> Array:
            g = self._gradient(run, self.param.read(run), True)
            return self.rule.agreeing(g, self._read_slots(run), self._own).astype(np.float64)

        return of_elements(agreeing, 0, self.size) if self.cautious else 0.0

    def scale_cautious_steps(self, count: float) -> None:
        """By how many elements of the whole agree."""
        self._cautious_scale = self._cast(self._part.total / (count + 1))

    def runs(self) -> list[Run]:
        """Functions that each compute a run of the tensor, and return what is to be written."""
        starts = range(0, self.size, RUN)
        return [
            partial(self._change, slice(start, min(start + RUN, self.size))) for start in starts
        ]

    def _gradient(self, run: slice, p: Array, extras: bool) -> Array:
        g: Array = self._scale * self._grad[run]
        if not extras:
            return g
        return clamp(g, -self._clip_value, self._clip_value) + self._l2 * p

    def _read_slots(self, run: slice) -> list[Array]:
        return [slot.read(run) for slot in self._slots]

    def _change(self, run: slice) -> list[Change]:
        before = self.param.read(run)
        p, g = self._decay * before, self._gradient(run, before, self._with_extras)
        slots = [slot.copy() for slot in self._read_slots(run)]
        if self.cautious:
            new = self.rule.cautiously_moved(p, g, slots, self._own, self._cautious_scale)
        else:
            new = self.rule.moved(p, g, slots, self._own)
        if self._with_extras:
            new = soft_threshold(new, self._l1)
        changes = self._write(PARAM, self.param, run, new)
        for k, values in enumerate(slots):
            changes += self._write(FIRST_SLOT + k, self._slots[k], run, values)
        if (average := self._average) is not None:
            averaged = self._keep * average.read(run) + self._take * new
            changes += self._write(AVERAGE, average, run, averaged)
        return changes if self._copy is None else changes + self._write(PARAM, self._copy, run, new)

    def _write(self, role: int, place: Place, run: slice, values: Array) -> list[Change]:
        return place.write(run, values, OfRun(self._drawn, role, run))
