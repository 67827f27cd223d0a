"""Vectors over all parameters, with the interface and the bits of the compiled ones."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.arrays.memory import flat
from gradstep.arrays.parameters import look
from gradstep.reference.measures import of_elements

Array = NDArray[Any]
Vector = list[Array]  # its part of every parameter, flat
Pair = tuple[int, int, float, Array]


class Vectors:
    """What csrc/engine/vectors.hpp describes; vectors go by their numbers."""

    def __init__(self, params: Sequence[Array], offsets: Sequence[int], bytes: int) -> None:
        self._params, self._seen = list(params), [look(param) for param in params]
        self._flat = [flat(param) for param in params]
        self._offsets = list(offsets)
        self._memory: list[Vector] = []

    def add_memory(self, memory: Array) -> None:
        parts = zip(self._flat, self._offsets, strict=True)
        self._memory.append(
            [memory[at : at + param.nbytes].view(param.dtype) for param, at in parts]
        )

    def read(
        self, grads: Sequence[Any], scale: float, to: int
    ) -> tuple[float, float, float] | None:
        for grad, param in zip(grads, self._params, strict=True):
            if grad is not None and not readable(grad, param):
                return None
        with np.errstate(all="ignore"):
            for grad, part in zip(grads, self._memory[to], strict=True):
                if grad is None:
                    part[...] = 0.0
                else:
                    np.multiply(flat(grad), part.dtype.type(scale), part)
        return self.measure(to)

    def measure(self, x: int) -> tuple[float, float, float]:
        parts = self._memory[x]
        with np.errstate(all="ignore"):
            largest = [float(np.fmax.reduce(np.abs(part), initial=0.0)) for part in parts]
            absolute = 0.0
            for part in parts:
                absolute += of_elements(partial(magnitudes, part), 0, part.size)
        return max(largest, default=0.0), absolute, product(parts, parts)

    def dot(self, x: int, y: int) -> float:
        return product(self._memory[x], self._memory[y])

    def save(self, to: int) -> bool:
        if not self._unchanged():
            return False
        for part, param in zip(self._memory[to], self._flat, strict=True):
            part[...] = param
        return True

    def move(self, x: int | None, scale: float, d: int) -> bool:
        if not self._unchanged():
            return False
        starts = self._flat if x is None else self._memory[x]
        for param, start, along in zip(self._flat, starts, self._memory[d], strict=True):
            with np.errstate(all="ignore"):
                np.add(start, param.dtype.type(scale) * along, param)
        return True

    def restore(self, x: int) -> None:
        for param, part in zip(self._flat, self._memory[x], strict=True):
            param[...] = part

    def differences(
        self, now: int, before: int, scale: float, d: int, s: int, y: int, older: Sequence[int]
    ) -> tuple[float, float, Array, list[float]]:
        memory = self._memory
        of = zip(memory[now], memory[before], memory[d], memory[s], memory[y], strict=True)
        for new, old, along, step, change in of:
            with np.errstate(all="ignore"):
                np.subtract(new, old, change)
                np.multiply(along, step.dtype.type(scale), step)
        with_g = self._dots([*older, s], now).tolist()
        return self.dot(y, s), self.dot(y, y), self._dots(older, y), with_g

    def direction(
        self, g: int, pairs: Sequence[Pair], along: Sequence[float], scale: float, to: int
    ) -> tuple[float, float]:
        """Nocedal & Wright 2006, Algorithm 7.4: the pairs from the oldest to the newest."""
        count, steps, changes = len(pairs), [p[0] for p in pairs], [p[1] for p in pairs]
        products = np.zeros((count, count))  # s_i·y_j where pair i is before j
        for j in range(1, count):
            products[:j, j] = pairs[j][3][-j:]
        with np.errstate(all="ignore"):
            alpha = -np.asarray(along, np.float64)
            for j in reversed(range(count)):
                alpha[j] *= pairs[j][2]
                alpha[:j] -= alpha[j] * products[:j, j]
            self._combine(g, -1.0, changes[::-1], -alpha[::-1], scale, to)
            gains = self._dots(changes, to)
            for i in range(count):
                gains[i] = alpha[i] - gains[i] * pairs[i][2]
                gains[i + 1 :] += gains[i] * products[i, i + 1 :]
            self._combine(to, 1.0, steps, gains, 1.0, to)
        return self.dot(g, to), self.measure(to)[0]

    def _combine(
        self, x: int, scale: float, xs: Sequence[int], factors: Array, after: float, to: int
    ) -> None:
        """`to` = after·(scale·x + Σ factor·vector), added in order."""
        for i, part in enumerate(self._memory[to]):
            number = part.dtype.type
            np.multiply(self._memory[x][i], number(scale), part)
            for vector, factor in zip(xs, factors, strict=True):
                part += number(factor) * self._memory[vector][i]
            part *= number(after)

    def _dots(self, xs: Sequence[int], y: int) -> Array:
        return np.array([self.dot(x, y) for x in xs], np.float64)

    def _unchanged(self) -> bool:
        return [look(param) for param in self._params] == self._seen


def readable(grad: Any, param: Array) -> bool:
    """Whether it can be read in place: of its parameter's dtype, shape and order."""
    if type(grad) is not np.ndarray or grad.dtype is not param.dtype or grad.shape != param.shape:
        return False
    flags, order = grad.flags, param.flags
    in_c = flags.c_contiguous and order.c_contiguous
    in_f = flags.f_contiguous and order.f_contiguous
    return bool((in_c or in_f) and flags.aligned)


def product(one: Vector, other: Vector) -> float:
    total = 0.0
    with np.errstate(all="ignore"):
        for x, y in zip(one, other, strict=True):
            total += of_elements(partial(products, x, y), 0, x.size)
    return total


def products(x: Array, y: Array, run: slice) -> Array:
    terms: Array = x[run].astype(np.float64) * y[run].astype(np.float64)
    return terms


def magnitudes(x: Array, run: slice) -> Array:
    return np.abs(x[run].astype(np.float64))
