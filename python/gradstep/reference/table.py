"""The reference parameter table: the engine's work, in NumPy.

Offers what ``gradstep._native.ParamTable`` offers and computes the same bits. Arrays are walked in
runs of a few thousand elements, so temporaries stay in cache and do not grow with the parameters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from operator import setitem
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.arrays.at_once import Change, at_once, attribute, filled
from gradstep.arrays.memory import flat
from gradstep.arrays.settling import settled
from gradstep.arrays.stored import Factored, Stored
from gradstep.reference.factored import place_beside
from gradstep.reference.formats import beside
from gradstep.reference.limits import Limited, Limits, apply_factors, limit_gradients
from gradstep.reference.places import place_of
from gradstep.reference.rules import RULES
from gradstep.reference.update import Run, Update
from gradstep.reference.whole import Deriving, derive, derives

Array = NDArray[Any]


def write_all(runs: Sequence[Run]) -> None:
    """Make the changes of all runs; what interrupts it, however often, passes after the last."""
    written, interrupt = [0], None
    while written[0] < len(runs):
        try:
            for run in runs[written[0] :]:
                at_once([*run(), partial(setitem, written, 0, written[0] + 1)])()
        except BaseException as error:
            if interrupt is not None and isinstance(error, Exception):
                raise
            interrupt = error
    try:
        if interrupt is not None:
            raise interrupt
    finally:
        del interrupt


class Step:
    """What the phases of a step need, once its rows have been read."""

    def __init__(
        self,
        given: Sequence[tuple[Any, ...]],
        rows: Sequence[tuple[Any, ...]],
        grad_scale: float,
        limited: Limited,
    ) -> None:
        self.given, self.rows, self.grad_scale, self.limited = given, rows, grad_scale, limited
        self.applied: set[int] = set()


class ParamTable:
    """One step over all parameters; the interface is described in ``_native.pyi``."""

    kept_of: Sequence[Any] | None = None

    def __init__(
        self,
        params: Sequence[Array | Stored],
        slots: Sequence[Sequence[Array | Stored | Factored]],
        scalars: Sequence[Sequence[Array]],
        averages: Sequence[Array | Stored | None],
        copies: Sequence[Array | Stored | None],
        keys: Sequence[int],
        convert: Callable[[int, object], Array],
        kept: Sequence[Sequence[Array]] = (),
    ) -> None:
        self._params = [place_of(param) for param in params]
        self._slots = [
            [place_beside(slot, param) for slot in of_one]
            for of_one, param in zip(slots, self._params, strict=True)
        ]
        self._scalars = scalars
        self._averages = [None if a is None else place_of(a) for a in averages]
        self._copies = [None if c is None else place_of(c) for c in copies]
        self._keys = keys
        self._convert = convert
        self._kept = kept
        self._last_step: tuple[Sequence[Any] | None, Sequence[int]] = None, ()
        self._step: Step | None = None  # that is under way, in phases

    @property
    def last_step(self) -> tuple[Sequence[Any] | None, Sequence[int]]:
        """The rows of the last step that was taken, and the tensors that it left out."""
        return self._last_step

    def assign(self, rules: Sequence[tuple[str, bool, bool]], row_of: Sequence[int]) -> None:
        self._check_no_step()
        self._rules = [(RULES[name], cautious) for name, cautious, _ in rules]
        self._units_axis = [0 if along_first else -1 for *_, along_first in rules]
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
        step = self._begun(rows, grad_scale)
        grads = self._settled_all(leaves)
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
        self._under_way()
        grads = self._settled_all(leaves)
        step = self._under_way()  # anybody's code may have run
        step.limited = self._limits(step, grads)
        return step.limited.norm

    def scale(self, tensor: int) -> float:
        step, row = self._under_way(), self._row_of[tensor]
        sign, limited = step.rows[row][0][0], step.limited
        scale: float = sign * (step.grad_scale * limited.rows[row]) * limited.tensors[tensor]
        return scale

    def apply(self, first: int, leaves: Sequence[object]) -> None:
        self._under_way()
        leaves = tuple(leaves)
        numbers = range(first, first + len(leaves))
        if numbers.stop > len(self._params):
            raise ValueError("there are not so many tensors")
        self._not_applied(numbers)
        self._check_whole(numbers)
        grads = self._settled(first, leaves)
        step = self._not_applied(numbers)  # anybody's code may have run
        applied = {i for i, grad in zip(numbers, grads, strict=True) if grad is not None}
        self._apply(step, first, grads, partial(step.applied.update, applied))

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

    def _check_whole(self, numbers: range) -> None:
        of_all = any(rule.whole.of_all for rule, _ in self._rules)
        if of_all and len(numbers) != len(self._params):
            raise ValueError("this rule's steps depend on all tensors; apply them together")

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

    def _limits(self, step: Step, grads: Sequence[Array | None]) -> Limited:
        limits = []
        for (_, *of_norms), axis in zip(
            (row[0] for row in step.rows), self._units_axis, strict=True
        ):
            norm, tensor_norm, adaptive, adaptive_eps, _ = of_norms
            limits.append(Limits(norm, tensor_norm, adaptive, adaptive_eps, axis))
        with np.errstate(all="ignore"):
            params = [place.whole() for place in self._params]
            return limit_gradients(params, grads, limits, self._row_of, step.grad_scale)

    def _apply(self, step: Step, first: int, grads: Sequence[Array | None], done: Change) -> None:
        """Update the tensors from `first` on and make the change `done`: if interrupted, too."""
        with np.errstate(all="ignore"):
            updates = {
                i: self._update_of(step, i, grad)
                for i, grad in enumerate(grads, first)
                if grad is not None
            }
            kept = derive(
                [
                    Deriving(rule, step.rows[row][3], self._scalars[i], updates.get(i))
                    for i, row in enumerate(self._row_of[first : first + len(grads)], first)
                    if derives(rule := self._rules[row][0])
                ]
            )
            for update in updates.values():
                update.scale_cautious_steps()
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

    def _settled(self, first: int, leaves: Sequence[object]) -> list[Array | None]:
        """The gradients of the parameters from `first` on, flat, as their parameters are."""
        params = self._params[first : first + len(leaves)]
        return [
            None if g is None else flat(beside(p.shaped, p.dtype, g))
            for p, g in zip(params, settled(leaves, self._convert, first), strict=True)
        ]

    def _settled_all(self, leaves: Sequence[object]) -> list[Array | None]:
        leaves = tuple(leaves)
        if len(leaves) != len(self._params):
            raise ValueError(f"expected {len(self._params)} gradients, got {len(leaves)}")
        return self._settled(0, leaves)

    def _read(self, r: int, row: tuple[Any, ...]) -> tuple[Any, ...]:
        """The parts of a row as plain numbers, the rule's coefficients together, and its draws."""
        (*parts, fixed), at_step, *draws = row
        own = {name: float(value) for name, value in (fixed | at_step).items()}
        if own.keys() != set(self._rules[r][0].coefficients):
            raise TypeError("coefficients must be dicts of exactly the rule's coefficients")
        return *(tuple(map(float, part)) for part in parts), own, *(draws or [0])

    def _update_of(self, step: Step, i: int, grad: Array) -> Update:
        row, limited, param = self._row_of[i], step.limited, self._params[i]
        if (factors := limited.units[i]) is not None:
            grad = apply_factors(param.shaped, grad, factors, self._units_axis[row])
        (sign, *_), *_ = step.rows[row]
        return Update(
            *self._rules[row], param, self._slots[i], self._averages[i], self._copies[i],
            grad, sign * (step.grad_scale * limited.rows[row]), limited.tensors[i],
            step.rows[row], self._keys[i],
        )  # fmt: skip
