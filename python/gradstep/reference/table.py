"""The reference parameter table: the engine's work, in NumPy.

Offers what ``gradstep._native.ParamTable`` offers and computes the same bits. Arrays are walked in
runs of a few thousand elements, so temporaries stay in cache and do not grow with the parameters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.arrays.at_once import Change, at_once, attribute, filled
from gradstep.reference.held import Held
from gradstep.reference.limits import (
    BlockSums,
    Limited,
    limit_gradients,
    measured,
)
from gradstep.reference.steps import Step, write_all
from gradstep.reference.update import Run
from gradstep.reference.whole import Deriving, derive, derives

Array = NDArray[Any]


class ParamTable(Held):
    """One step over all parameters; the interface is described in ``_native.pyi``."""

    kept_of: Sequence[Any] | None = None
    _displaced: Sequence[Callable[[], object]] = ()
    _last_step: tuple[Sequence[Any] | None, Sequence[int]] = None, ()
    _step: Step | None = None  # that is under way, in phases

    @property
    def last_step(self) -> tuple[Sequence[Any] | None, Sequence[int]]:
        """The rows of the last step that was taken, and the tensors that it left out."""
        return self._last_step

    def assign(self, rules: Sequence[tuple[str, bool, bool]], row_of: Sequence[int]) -> None:
        self._check_no_step()
        self._assign(rules, row_of)

    def start_from(
        self, bits: Sequence[Array | None], displaced: list[Callable[[], object]]
    ) -> None:
        self._displaced = displaced

    def step(
        self,
        leaves: Sequence[object],
        rows: Sequence[tuple[Any, ...]],
        grad_scale: float,
        with_norm: bool,
        skip_nonfinite: bool,
    ) -> tuple[float | None, bool, tuple[int, ...]]:
        with_norm, skip_nonfinite = bool(with_norm), bool(skip_nonfinite)
        self._check_in_phases(with_norm)
        self._check_counts(None)
        step = self._begun(rows, grad_scale)
        grads = self._settled_all(leaves)
        for put_back in self._displaced[:1]:
            put_back()
        absent = tuple(i for i, g in enumerate(grads) if g is None)
        norm = None
        if with_norm:
            step.limited = self._limits(step, grads)
            norm = step.limited.norm
            if skip_nonfinite and not math.isfinite(norm):
                return norm, True, absent
        self._apply(step, 0, grads, attribute(self, "_last_step", (rows, absent)))
        return norm, False, absent

    def begin(self, rows: Sequence[tuple[Any, ...]], grad_scale: float) -> None:
        self._step = self._begun(rows, grad_scale)

    def measure(self, leaves: Sequence[object]) -> float:
        step, grads = self._looked_at(leaves)
        self._check_in_phases(True)
        step.limited = self._limits(step, grads)
        return step.limited.norm

    def block_sums(self, leaves: Sequence[object]) -> BlockSums:
        step, grads = self._looked_at(leaves)
        with np.errstate(all="ignore"):
            step.limiting = self._limiting(step, grads)
            return measured(step.limiting)

    def limit(self, squares: Array, unit_grads: Array, unit_params: Array) -> float:
        step = self._under_way()
        if step.limiting is None:
            raise RuntimeError("there are no sums of blocks; ask for them first: block_sums")
        step.limited = self._limits_by(step, BlockSums(squares, unit_grads, unit_params))
        return step.limited.norm

    def counts(self, leaves: Sequence[object]) -> Array:
        if not self._of_parts:
            raise ValueError("counts are of parts; steps of whole tensors count by themselves")
        step, grads = self._looked_at(leaves)
        with np.errstate(all="ignore"):
            updates = self._updates(step, 0, grads)
            counts = [
                updates[i].count_agreeing() if i in updates else 0.0 for i in range(len(grads))
            ]
        return np.array(counts)

    def scale(self, tensor: int) -> float:
        step, row = self._under_way(), self._row_of[tensor]
        sign, limited = step.rows[row][0][0], step.limited
        scale: float = sign * (step.grad_scale * limited.rows[row]) * limited.tensors[tensor]
        return scale

    def apply(
        self, first: int, leaves: Sequence[object], *, counts: Sequence[float] | None = None
    ) -> None:
        self._under_way()
        leaves = tuple(leaves)
        numbers = range(first, first + len(leaves))
        if numbers.stop > len(self._params):
            raise ValueError("there are not so many tensors")
        self._not_applied(numbers)
        self._check_whole(numbers)
        self._check_counts(counts)
        grads = self._settled(first, leaves)
        step = self._not_applied(numbers)  # anybody's code may have run
        applied = {i for i, grad in zip(numbers, grads, strict=True) if grad is not None}
        self._apply(step, first, grads, partial(step.applied.update, applied), counts)

    def end(self) -> tuple[int, ...]:
        step = self._under_way()
        absent = self._left_out(step)
        self._last_step, self._step = (step.given, absent), None
        return absent

    def abort(self) -> tuple[int, ...]:
        step = self._under_way()
        absent = self._left_out(step)
        last = (step.given, absent) if step.applied else self._last_step
        self._last_step, self._step = last, None
        return absent

    def _not_applied(self, numbers: range) -> Step:
        step = self._under_way()
        if not step.applied.isdisjoint(numbers):
            raise ValueError("a tensor is updated once in a step")
        return step

    def _left_out(self, step: Step) -> tuple[int, ...]:
        return tuple(i for i in range(len(self._params)) if i not in step.applied)

    def _begun(self, rows: Sequence[tuple[Any, ...]], grad_scale: float) -> Step:
        self._check_no_step()
        nothing: list[Array | None] = [None] * len(self._params)
        limited = Limited(0.0, [1.0] * len(rows), [1.0] * len(self._params), nothing)
        return Step(rows, [self._read(r, row) for r, row in enumerate(rows)], grad_scale, limited)

    def _check_no_step(self) -> None:
        if self._step is not None:
            raise RuntimeError("a step has begun; end or abort it first")

    def _under_way(self) -> Step:
        if self._step is None:
            raise RuntimeError("no step has begun")
        return self._step

    def _looked_at(self, leaves: Sequence[object]) -> tuple[Step, list[Array | None]]:
        self._under_way()
        grads = self._settled_all(leaves)
        return self._under_way(), grads  # anybody's code may have run

    def _limits(self, step: Step, grads: Sequence[Array | None]) -> Limited:
        with np.errstate(all="ignore"):
            step.limiting = self._limiting(step, grads)
            return self._limits_by(step, measured(step.limiting))

    def _limits_by(self, step: Step, sums: BlockSums) -> Limited:
        assert step.limiting is not None
        with np.errstate(all="ignore"):
            return limit_gradients(step.limiting, sums, self._row_limits(step), step.grad_scale)

    def _apply(
        self,
        step: Step,
        first: int,
        grads: Sequence[Array | None],
        done: Change,
        counts: Sequence[float] | None = None,
    ) -> None:
        """Update the tensors from `first` on and make the change `done`: if interrupted, too."""
        with np.errstate(all="ignore"):
            updates = self._updates(step, first, grads)
            kept = derive(
                [
                    Deriving(rule, step.rows[row][3], self._scalars[i], updates.get(i))
                    for i, row in enumerate(self._row_of[first : first + len(grads)], first)
                    if derives(rule := self._rules[row][0])
                ]
            )
            for i, update in updates.items():
                count = update.count_agreeing() if counts is None else counts[i]
                update.scale_cautious_steps(count)
            runs: list[Run] = [run for update in updates.values() for run in update.runs()]
            runs.append(lambda: [*kept, done])
            if self._kept:
                at_once([*self._keep(updates), attribute(self, "kept_of", step.given)])()
            write_all(runs)

    def _keep(self, members: Iterable[int]) -> Iterator[Change]:
        """Those that keep what these parameters and their copies hold, bit for bit."""
        for i in members:
            places = (self._params[i], self._copies[i])
            for place, kept in zip(places, self._kept[i], strict=False):
                assert place is not None
                yield filled(kept, place.bits())
