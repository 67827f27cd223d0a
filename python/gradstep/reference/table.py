"""The reference parameter table: the engine's work, in NumPy.

Offers what ``gradstep._native.ParamTable`` offers and computes the same bits. Arrays are walked in
runs of a few thousand elements, so temporaries stay in cache and do not grow with the parameters.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.params import flat
from gradstep.reference.arithmetic import clamp, soft_threshold
from gradstep.reference.formats import beside
from gradstep.reference.limits import Limited, Limits, apply_factors, limit_gradients
from gradstep.reference.measures import of_elements
from gradstep.reference.rules import RULES

Array = NDArray[Any]

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
        self._begun: Sequence[Any] | None = None  # the rows of a step under way

    @property
    def last_step(self) -> tuple[Sequence[Any] | None, Sequence[int]]:
        """The rows of the last step that was taken, and the tensors that it left out."""
        return self._last_step

    def assign(self, rules: Sequence[tuple[str, bool]], row_of: Sequence[int]) -> None:
        self._check_not_begun()
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
        with_norm, skip_nonfinite = bool(with_norm), bool(skip_nonfinite)
        self.begin(rows, grad_scale)
        try:
            grads = self._settled_all(leaves)
            norm = self._measure(grads) if with_norm else None
            skipped = skip_nonfinite and norm is not None and not math.isfinite(norm)
            if not skipped:
                self._apply(0, grads)
        except BaseException:
            self.abort()
            raise
        absent = tuple(i for i, g in enumerate(grads) if g is None)
        if skipped:
            self.abort()
        else:
            self.end()
        return norm, skipped, absent

    def begin(self, rows: Sequence[tuple[Any, ...]], grad_scale: float) -> None:
        self._check_not_begun()
        self._rows = [self._read(r, row) for r, row in enumerate(rows)]
        self._grad_scale = grad_scale
        nothing: list[Array | None] = [None] * len(self._params)
        self._limited = Limited(0.0, [1.0] * len(rows), [1.0] * len(self._params), nothing)
        self._applied: set[int] = set()
        self._begun = rows

    def measure(self, leaves: Sequence[object]) -> float:
        self._check_begun()
        return self._measure(self._settled_all(leaves))

    def apply(self, first: int, leaves: Sequence[object]) -> None:
        self._check_begun()
        leaves = tuple(leaves)
        if first + len(leaves) > len(self._params):
            raise ValueError("there are not so many tensors")
        if not self._applied.isdisjoint(range(first, first + len(leaves))):
            raise ValueError("a tensor is updated once in a step")
        self._apply(first, self._settled(first, leaves))

    def end(self) -> tuple[int, ...]:
        self._check_begun()
        absent = tuple(i for i in range(len(self._params)) if i not in self._applied)
        self._last_step, self._begun = (self._begun, absent), None
        return absent

    def abort(self) -> tuple[int, ...]:
        before, applied = self._last_step, self._applied
        absent = self.end()
        if not applied:
            self._last_step = before
        return absent

    def _check_not_begun(self) -> None:
        if self._begun is not None:
            raise RuntimeError("a step has begun; end or abort it first")

    def _check_begun(self) -> None:
        if self._begun is None:
            raise RuntimeError("no step has begun")

    def _measure(self, grads: Sequence[Array | None]) -> float:
        limits = [Limits(*of_row[0][1:5]) for of_row in self._rows]
        with np.errstate(all="ignore"):
            self._limited = limit_gradients(
                self._shaped, grads, limits, self._row_of, self._grad_scale
            )
        return self._limited.norm

    def _apply(self, first: int, grads: Sequence[Array | None]) -> None:
        there = {i: grad for i, grad in enumerate(grads, first) if grad is not None}
        for i, grad in there.items():
            with np.errstate(all="ignore"):
                factors = self._limited.units[i]
                if factors is not None:
                    grad = apply_factors(self._shaped[i], grad, factors)
                row = self._row_of[i]
                scale = self._grad_scale * self._limited.rows[row]
                self._update(i, grad, self._rows[row], scale, self._limited.tensors[i])
            self._applied.add(i)

    def _settled(self, first: int, leaves: Sequence[object]) -> list[Array | None]:
        """The gradients of the parameters from `first` on, flat, as their parameters are.

        A conversion may run anybody's code, and so change what was looked at before: they are taken
        once a look finds nothing to convert.
        """
        grads: list[Any] = list(leaves)
        params = self._shaped[first : first + len(grads)]
        for _ in range(LOOKS):
            before = grads
            grads = [
                None if g is None else self._convert(i, g) for i, g in enumerate(before, first)
            ]
            if all(map(operator.is_, grads, before)):
                return [
                    None if g is None else flat(beside(p, g))
                    for p, g in zip(params, grads, strict=True)
                ]
        raise RuntimeError(
            "the gradients change while they are read; leave them alone until the step has returned"
        )

    def _settled_all(self, leaves: Sequence[object]) -> list[Array | None]:
        leaves = tuple(leaves)
        if len(leaves) != len(self._params):
            raise ValueError(f"expected {len(self._params)} gradients, got {len(leaves)}")
        return self._settled(0, leaves)

    def _read(self, r: int, row: tuple[Any, ...]) -> tuple[Any, ...]:
        """The parts of a row as plain numbers, the rule's coefficients together."""
        (*parts, fixed), at_step = row
        own = {name: float(value) for name, value in (fixed | at_step).items()}
        if own.keys() != set(self._rules[r][0].coefficients):
            raise TypeError("coefficients must be dicts of exactly the rule's coefficients")
        return *(tuple(map(float, part)) for part in parts), own

    def _update(
        self, i: int, grad: Array, row: tuple[Any, ...], grad_scale: float, limit: float
    ) -> None:
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

            def agreeing(run: slice) -> Array:
                suits = rule.agreeing(prepared(run, True), slots(run), own)
                return suits.astype(np.float64)

            count = of_elements(agreeing, 0, grad.size)
            cautious_scale = cast(grad.size / (count + 1))
        for run in runs:
            p, g = decay * self._params[i][run], prepared(run, with_extras)
            if cautious:
                new = rule.cautiously_moved(p, g, slots(run), own, cautious_scale)
            else:
                new = rule.moved(p, g, slots(run), own)
            if with_extras:
                new = soft_threshold(new, l1)
            if average is not None:
                average[run] = keep * average[run] + take * new
            self._params[i][run] = new
