"""The reference parameter table: the engine's work, in NumPy.

Offers what ``gradstep._native.ParamTable`` offers and computes the same bits. Arrays are walked in
runs of a few thousand elements, so temporaries stay in cache and do not grow with the parameters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.params import flat
from gradstep.reference.arithmetic import clamp, soft_threshold
from gradstep.reference.rules import RULES

Array = NDArray[Any]

NORM_BLOCK = 1024  # elements whose squares are summed together, from each tensor's start
NORM_LANES = 16  # sums kept side by side within a block
RUN = 16 * NORM_BLOCK  # elements worked on at a time


def sum_of_squares(arrays: Sequence[Array]) -> float:
    """The sum of all squares, in the order that the engine adds them in."""
    total = 0.0
    for array in arrays:
        tensor = 0.0
        for block in block_sums(flat(array)):
            tensor += block
        total += tensor
    return total


def block_sums(x: Array) -> list[float]:
    sums: list[float] = []
    for start in range(0, x.size, RUN):
        run = x[start : start + RUN].astype(np.float64)
        squares = np.zeros(-(-run.size // NORM_BLOCK) * NORM_BLOCK)
        np.multiply(run, run, out=squares[: run.size])
        rows = squares.reshape(-1, NORM_BLOCK // NORM_LANES, NORM_LANES)
        lanes = np.zeros((len(rows), NORM_LANES))
        for row in range(rows.shape[1]):
            lanes += rows[:, row]
        half = NORM_LANES // 2
        while half:
            lanes[:, :half] += lanes[:, half : 2 * half]
            half //= 2
        sums += lanes[:, 0].tolist()
    return sums


class ParamTable:
    """One step over all parameters; the interface is described in ``_native.pyi``."""

    def __init__(
        self,
        params: Sequence[Array],
        slots: Sequence[Sequence[Array]],
        averages: Sequence[Array | None],
        convert: Callable[[int, object], Array],
    ) -> None:
        self._params = [flat(p) for p in params]
        self._slots = [[flat(s) for s in of_one] for of_one in slots]
        self._averages = [None if a is None else flat(a) for a in averages]
        self._convert = convert

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
        grads = [None if g is None else flat(self._convert(i, g)) for i, g in enumerate(leaves)]
        absent = tuple(i for i, g in enumerate(grads) if g is None)
        present = [g for g in grads if g is not None]
        norm = None
        with np.errstate(all="ignore"):
            if with_norm:
                norm = math.sqrt(sum_of_squares(present)) * abs(grad_scale)
                if skip_nonfinite and not math.isfinite(norm):
                    return norm, True, absent
            for i, grad in enumerate(grads):
                if grad is not None:
                    self._update(i, grad, rows[self._row_of[i]], grad_scale, norm)
        return norm, False, absent

    def _update(
        self, i: int, grad: Array, row: tuple[Any, ...], grad_scale: float, norm: float | None
    ) -> None:
        (scale, clip_norm, *shared), coefficients = row
        scale = scale * grad_scale
        if norm is not None and (factor := clip_norm / (norm + 1e-6)) < 1:
            scale *= factor
        cast = self._params[i].dtype.type
        average = self._averages[i]
        with_extras = shared[0] != math.inf or shared[1] != 0 or shared[3] != 0
        with_extras = with_extras or average is not None
        own = {name: cast(value) for name, value in coefficients.items()}
        scale, clip_value, l2, decay, l1, keep, take = map(cast, (scale, *shared))
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
