"""Processes that each hold parts of the same tensors, one after another in this one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

import gradstep as gs
from gradstep.arrays.groups import split_groups
from gradstep.arrays.memory import flat
from gradstep.arrays.parts import BLOCK, Part, whole
from gradstep.optimizer.cohorts import after_step
from gradstep.optimizer.layout import Layout
from gradstep.optimizer.rounds import Rounds, ToAll
from tests.helpers import Array

Share = list[tuple[Part, int]]


def shares_of(params: dict[str, Array], ranks: int, rng: np.random.Generator) -> list[Share]:
    """Of every process: cut at any blocks of the flat order over all tensors."""
    borders = [(i, k) for i, p in enumerate(params.values()) for k in range(0, p.size, BLOCK)]
    cuts = sorted(rng.integers(0, len(borders) + 1, ranks - 1).tolist())
    places = [(0, 0), *((*borders, (len(params), 0))[cut] for cut in cuts), (len(params), 0)]
    return [
        [part_between(i, param, begin, end) for i, param in enumerate(params.values())]
        for begin, end in pairwise(places)
    ]


def part_between(
    i: int, param: Array, begin: tuple[int, int], end: tuple[int, int]
) -> tuple[Part, int]:
    first = begin[1] if i == begin[0] else 0 if i > begin[0] else param.size
    last = end[1] if i == end[0] else param.size if i < end[0] else 0
    return whole(param)._replace(first=first), max(last - first, 0)


def sliced(array: Array, part: Part, size: int) -> Array:
    return flat(array)[part.first : part.first + size]


class Parted:
    """An optimizer over parameters of which each of several processes holds a part."""

    def __init__(
        self,
        cls: type[gs.Optimizer],
        params: dict[str, Array],
        ranks: int,
        cuts: int,
        **options: Any,
    ) -> None:
        self.params = params
        self.shares = shares_of(params, ranks, np.random.default_rng(cuts))
        values = cls.method.values(cls.__name__, (), options)
        self.layouts = []
        for share in self.shares:
            held = {n: sliced(p, *s) for (n, p), s in zip(params.items(), share, strict=True)}
            parts = {name: part for name, (part, _) in zip(params, share, strict=True)}
            groups = split_groups(held)
            self.layouts.append(Layout(cls.__name__, cls.method, values, *groups, parts=parts))
        self.rounds = [Rounds(self.shares, r) for r in range(ranks)]

    def step(self, grads: dict[str, Array | None], grad_scale: float = 1.0) -> float | None:
        """All processes together; the norm."""
        running = []
        for layout, share, rounds in zip(self.layouts, self.shares, self.rounds, strict=True):
            leaves = [
                None if g is None else sliced(g, *s)
                for g, s in zip((grads[name] for name in self.params), share, strict=True)
            ]
            rows = layout.rows()
            layout.table.begin(rows, grad_scale)
            skip = layout.skips_nonfinite
            steps = rounds.of_step(
                layout, rows, leaves, with_norm=layout.needs_norm, skip_nonfinite=skip
            )
            running.append((layout, leaves, steps))
        measured = exchanged([steps for *_, steps in running])
        for (layout, leaves, _), (norm, counts) in zip(running, measured, strict=True):
            if layout.skips_nonfinite and not np.isfinite(norm):
                layout.table.abort()
                continue
            layout.table.apply(0, leaves, counts=counts)
            absent = layout.table.end()
            if absent:
                layout.cohorts = after_step(layout.cohorts, absent)
            layout.steps += 1
        assert len({repr(norm) for norm, _ in measured}) == 1
        norm: float | None = measured[0].norm
        return norm

    def everything(self) -> dict[str, Array]:
        """As of an optimizer over the whole tensors."""
        found = {name: param.copy() for name, param in self.params.items()}
        for name, param in self.params.items():
            for key in self.layouts[0].state[name]:
                pieces = [layout.state[name][key] for layout in self.layouts]
                found[f"{name}/{key}"] = joined(pieces, param)
            if name in self.layouts[0].ema:
                found[f"{name}/ema"] = joined([lay.ema[name] for lay in self.layouts], param)
        return found


def joined(pieces: Sequence[Array], param: Array) -> Array:
    if pieces[0].ndim == 0:
        return pieces[0].copy()
    together = np.concatenate(pieces)
    if together.size != param.size:
        return together
    order: Any = "C" if param.flags.c_contiguous else "F"
    return together.reshape(param.shape, order=order)


def exchanged(running: Sequence[Any]) -> list[Any]:
    """What the generators of all processes return, once each has got what it asked for."""
    sent: list[Any] = [None] * len(running)
    while True:
        asked, done = [], []
        for steps, came in zip(running, sent, strict=True):
            try:
                asked.append(steps.send(came))
            except StopIteration as end:
                done.append(end.value)
        assert not (asked and done)
        if done:
            return done
        assert len({type(each) for each in asked}) == 1
        if isinstance(asked[0], ToAll):
            sent = [[each.array for each in asked]] * len(running)
        else:
            sent = [[each.arrays[r] for each in asked] for r in range(len(running))]
