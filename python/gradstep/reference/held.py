"""What a parameter table holds: tensors, or parts of them, and how rows become their updates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from numpy.typing import NDArray

from gradstep.arrays.memory import flat
from gradstep.arrays.parts import Part, check_part, whole
from gradstep.arrays.settling import settled
from gradstep.arrays.stored import Factored, Stored
from gradstep.reference.factored import place_beside
from gradstep.reference.formats import beside
from gradstep.reference.limits import Limiting, Limits, apply_factors
from gradstep.reference.places import place_of
from gradstep.reference.rules import RULES
from gradstep.reference.steps import Step
from gradstep.reference.units import Units
from gradstep.reference.update import Update
from gradstep.reference.whole import derives

Array = NDArray[Any]


class Held:
    """The tensors of a table, in order."""

    def __init__(
        self,
        params: Sequence[Array | Stored],
        slots: Sequence[Sequence[Array | Stored | Factored]],
        scalars: Sequence[Sequence[Array]],
        averages: Sequence[Array | Stored | None],
        copies: Sequence[Array | Stored | None],
        keys: Sequence[int],
        convert: Callable[[int, object], Array],
        parts: Sequence[Part] | None = None,
        kept: Sequence[Sequence[Array]] = (),
    ) -> None:
        self._params = [place_of(param) for param in params]
        self._of_parts = parts is not None
        self._parts = [whole(p.shaped) for p in self._params] if parts is None else list(parts)
        if self._of_parts:
            for param, part in zip(self._params, self._parts, strict=True):
                check_part(param.shaped, part)
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

    def _assign(self, rules: Sequence[tuple[str, bool, bool]], row_of: Sequence[int]) -> None:
        if self._of_parts and any(derives(RULES[name]) for name, *_ in rules):
            raise ValueError("steps of this rule depend on whole tensors; parts cannot take them")
        self._rules = [(RULES[name], cautious) for name, cautious, _ in rules]
        self._units_axis = [0 if along_first else -1 for *_, along_first in rules]
        self._row_of = list(row_of)

    def _check_whole(self, numbers: range) -> None:
        of_all = any(rule.whole.of_all for rule, _ in self._rules)
        if of_all and len(numbers) != len(self._params):
            raise ValueError("this rule's steps depend on all tensors; apply them together")

    def _check_in_phases(self, with_norm: bool) -> None:
        if self._of_parts and with_norm:
            raise ValueError("norms of parts are none of whole tensors; take block_sums and limit")

    def _check_counts(self, counts: Sequence[float] | None) -> None:
        if counts is not None and len(counts) != len(self._params):
            raise ValueError(f"expected {len(self._params)} counts, got {len(counts)}")
        if counts is None and self._of_parts and any(cautious for _, cautious in self._rules):
            raise ValueError(
                "cautious steps of parts need the counts of whole tensors; give counts"
            )

    def _limiting(self, step: Step, grads: Sequence[Array | None]) -> list[Limiting]:
        limits = self._row_limits(step)
        return [
            Limiting(part, limits[row], param, grad)
            for part, row, param, grad in zip(
                self._parts, self._row_of, self._params, grads, strict=True
            )
        ]

    def _row_limits(self, step: Step) -> list[Limits]:
        limits = []
        for (part, *_), axis in zip(step.rows, self._units_axis, strict=True):
            _, norm, tensor_norm, adaptive, adaptive_eps, _ = part
            limits.append(Limits(norm, tensor_norm, adaptive, adaptive_eps, axis))
        return limits

    def _updates(self, step: Step, first: int, grads: Sequence[Array | None]) -> dict[int, Update]:
        """Of the tensors from `first` on that have a gradient, by their numbers."""
        return {
            i: self._update_of(step, i, grad)
            for i, grad in enumerate(grads, first)
            if grad is not None
        }

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
            grad = apply_factors(Units(self._parts[i], self._units_axis[row]), grad, factors)
        (sign, *_), *_ = step.rows[row]
        return Update(
            *self._rules[row], self._parts[i], param, self._slots[i], self._averages[i],
            self._copies[i], grad, sign * (step.grad_scale * limited.rows[row]), limited.tensors[i],
            step.rows[row], self._keys[i],
        )  # fmt: skip
