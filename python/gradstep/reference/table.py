"""The reference parameter table: the engine's work, in NumPy.

Offers what ``gradstep._native.ParamTable`` offers and computes the same bits. Arrays are walked in
runs of a few thousand elements, so temporaries stay in cache and do not grow with the parameters.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from functools import partial
from operator import setitem
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.arrays.at_once import Change, at_once, filled
from gradstep.arrays.memory import flat
from gradstep.reference.arithmetic import clamp, soft_threshold
from gradstep.reference.limits import Limits, apply_factors, limit_gradients
from gradstep.reference.rules import RULES

Array = NDArray[Any]
Run = Callable[[], list[Change]]

RUN = 16384  # elements worked on at a time
LOOKS = 8  # the second finds gradients settled; the third, where one's conversion changed another


class ParamTable:
    """One step over all parameters; the interface is described in ``_native.pyi``."""

    def __init__(
        self,
        params: Sequence[Array],
        slots: Sequence[Sequence[Array]],
        averages: Sequence[Array | None],
        convert: Callable[[int, object], Array],
    ) -> None:
        self._shaped = list(params)
        self._params = [flat(p) for p in params]
        self._slots = [[flat(s) for s in of_one] for of_one in slots]
        self._averages = [None if a is None else flat(a) for a in averages]
        self._convert = convert
        self._last_step: tuple[Sequence[Any] | None, Sequence[int]] = None, ()

    @property
    def last_step(self) -> tuple[Sequence[Any] | None, Sequence[int]]:
        """The rows of the last step that was not skipped, and the tensors that it left out."""
        return self._last_step

    def assign(self, rules: Sequence[tuple[str, bool]], row_of: Sequence[int]) -> None:
        self._rules = [(RULES[name], cautious) for name, cautious in rules]
        self._row_of = list(row_of)

    def step(
        self,
        leaves: Sequence[object],
        rows: Sequence[tuple[Any, ...]],
        grad_scale: float,
        with_norm: bool,
        skip_nonfinite: bool,
    ) -> tuple[float | None, bool, tuple[int, ...]]:
        given, with_norm, skip_nonfinite = rows, bool(with_norm), bool(skip_nonfinite)
        rows = [self._read(r, row) for r, row in enumerate(rows)]
        grads = [None if g is None else flat(g) for g in self._settled(leaves)]
        absent = tuple(i for i, g in enumerate(grads) if g is None)
        limits = [Limits(*of_row[0][1:5]) for of_row in rows]
        norm, of_rows, of_tensors = None, [1.0] * len(rows), [1.0] * len(grads)
        with np.errstate(all="ignore"):
            if with_norm:
                norm, of_rows, of_tensors, of_units = limit_gradients(
                    self._shaped, grads, limits, self._row_of, grad_scale
                )
                if skip_nonfinite and not math.isfinite(norm):
                    return norm, True, absent
                grads = [
                    g if g is None or f is None else apply_factors(p, g, f)
                    for p, g, f in zip(self._shaped, grads, of_units, strict=True)
                ]
            runs = [
                run
                for i, grad in enumerate(grads)
                if grad is not None
                for row in [self._row_of[i]]
                for run in self._runs(i, grad, rows[row], grad_scale * of_rows[row], of_tensors[i])
            ]
            written = [0]
            try:
                self._write(runs, written)
            except BaseException:
                self._write(runs, written)  # a step that was interrupted is finished
                self._last_step = given, absent
                raise
            self._last_step = given, absent
        return norm, False, absent

    @staticmethod
    def _write(runs: Sequence[Run], written: list[int]) -> None:
        """What is left of the runs; `written` says how many have been, whatever interrupts."""
        for run in runs[written[0] :]:
            at_once([*run(), partial(setitem, written, 0, written[0] + 1)])()

    def _settled(self, leaves: Sequence[object]) -> list[Array | None]:
        """Arrays of all gradients, once a look finds nothing to convert.

        A conversion may run anybody's code, and so change what was looked at before.
        """
        grads: list[Any] = list(leaves)
        if len(grads) != len(self._params):
            raise ValueError(f"expected {len(self._params)} gradients, got {len(grads)}")
        for _ in range(LOOKS):
            before = grads
            grads = [None if g is None else self._convert(i, g) for i, g in enumerate(before)]
            if all(map(operator.is_, grads, before)):
                return grads
        raise RuntimeError(
            "the gradients change while they are read; leave them alone until the step has returned"
        )

    def _read(self, r: int, row: tuple[Any, ...]) -> tuple[Any, ...]:
        """The parts of a row as plain numbers, the rule's coefficients together."""
        (*parts, fixed), at_step = row
        own = {name: float(value) for name, value in (fixed | at_step).items()}
        if own.keys() != set(self._rules[r][0].coefficients):
            raise TypeError("coefficients must be dicts of exactly the rule's coefficients")
        return *(tuple(map(float, part)) for part in parts), own

    def _runs(
        self, i: int, grad: Array, row: tuple[Any, ...], grad_scale: float, limit: float
    ) -> list[Run]:
        """Functions that each compute a run of the tensor, and return what is to be written."""
        (sign, *_, clip_value), (l2, decay, l1), (keep, take), coefficients = row
        scale = sign * grad_scale
        cast = self._params[i].dtype.type
        average = self._averages[i]
        with_extras = clip_value != math.inf or l2 != 0 or l1 != 0 or average is not None
        own = {name: cast(value) for name, value in coefficients.items()}
        scale, clip_value, l2, decay, l1 = map(cast, (scale, clip_value, l2, decay, l1))
        scale *= cast(limit)
        keep, take = cast(keep), cast(take)
        rule, cautious = self._rules[self._row_of[i]]
        runs = [slice(start, start + RUN) for start in range(0, grad.size, RUN)]

        def prepared(run: slice, extras: bool) -> Array:
            g: Array = scale * grad[run]
            return clamp(g, -clip_value, clip_value) + l2 * self._params[i][run] if extras else g

        def slots(run: slice) -> list[Array]:
            return [slot[run] for slot in self._slots[i]]

        if cautious:
            agreeing = sum(rule.count_agreeing(prepared(r, True), slots(r), own) for r in runs)
            cautious_scale = cast(grad.size / (agreeing + 1))

        def change(run: slice) -> list[Change]:
            p, g = decay * self._params[i][run], prepared(run, with_extras)
            new_slots = [slot.copy() for slot in slots(run)]
            if cautious:
                new = rule.cautiously_moved(p, g, new_slots, own, cautious_scale)
            else:
                new = rule.moved(p, g, new_slots, own)
            if with_extras:
                new = soft_threshold(new, l1)
            changes = [filled(self._params[i][run], new), *map(filled, slots(run), new_slots)]
            if average is not None:
                changes.append(filled(average[run], keep * average[run] + take * new))
            return changes

        return [partial(change, run) for run in runs]
