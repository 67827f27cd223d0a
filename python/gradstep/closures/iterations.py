"""The iterations of one step of L-BFGS."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gradstep.arrays.structure import Align
from gradstep.closures.evaluation import Closure, check_present, evaluated, usable
from gradstep.closures.info import ClosureInfo, NotFinite
from gradstep.closures.line_search import StrongWolfe, Trial
from gradstep.closures.space import Size, Slots, Space

Array = NDArray[Any]
Callback = Callable[[int, float, float], object]

LEAST_CURVATURE = 1e-10  # y·s of a pair that is kept


class Pair(NamedTuple):
    """A step and the gradient's change along it, by their numbers."""

    s: int
    y: int
    rho: float  # 1/(y·s)
    products: Array | None = None  # y with the s before it, the last at its end; None: not known


class Memory(NamedTuple):
    """What lasts from step to step; vectors by their numbers."""

    steps: int = 0
    iterations: int = 0
    evaluations: int = 0
    pairs: tuple[Pair, ...] = ()  # from the oldest
    scale: float = 1.0  # of the first inverse Hessian
    t: float = 0.0  # of the last move, along d, from where this gradient is of
    d: int | None = None
    gradient: int | None = None
    loss: float = 0.0  # where this gradient is of
    absent: tuple[str, ...] | None = None  # parameters without a gradient; None: not known yet

    def vectors(self) -> set[int]:
        of_pairs = {vector for pair in self.pairs for vector in (pair.s, pair.y)}
        return of_pairs | {v for v in (self.d, self.gradient) if v is not None}


class Iterations:
    """One step. It writes parameters, and vectors that `memory` does not hold."""

    def __init__(
        self,
        space: Space,
        slots: Slots,
        memory: Memory,
        options: Mapping[str, Any],
        closure: Closure,
        align: Align,
        callback: Callback | None,
    ) -> None:
        self._space, self._slots, self._options = space, slots, options
        self._closure, self._align, self._callback = closure, align, callback
        self._engine = space.engine
        self._memory = memory._replace(pairs=with_products(space, memory.pairs))
        self._sign = -1.0 if options["maximize"] else 1.0
        self._names = list(space.params)
        self._evaluations = 0
        self._first_loss = self._loss = math.nan
        self._x = slots.take()
        self._gradients = [slots.take() for _ in range(4)]

    def run(self, lr: float) -> tuple[Memory, ClosureInfo]:
        """What is remembered from now on, and what is reported."""
        options = self._options
        now = Trial(0.0, *self._evaluate(self._gradients[0]))
        first, searched, done = now, None, 0
        if not usable(now.loss, now.size[1]) or now.loss == math.inf:
            raise NotFinite
        stopped = "gradient" if self._is_flat(now) else ""
        while not stopped:
            done += 1
            slope, reach = self._turn_to(now)
            t = lr
            if self._memory.iterations == 1:
                t *= min(1.0, 1.0 / now.size[1])
            before, now = now, now._replace(t=0.0, slope=slope)
            self._memory = self._memory._replace(t=t)
            if not (math.isfinite(slope) and math.isfinite(reach)):
                raise NotFinite
            if slope > -options["tolerance_change"]:
                stopped = "slope"
                break
            if options["line_search_fn"] is None:
                now = self._move(now, t, evaluate=done != options["max_iter"])
            else:
                now, searched = self._search(now, t, reach)
            self._memory = self._memory._replace(t=now.t)
            self._report(now)
            stopped = self._reason(done, now, before.loss, reach)
        memory = self._memory._replace(
            steps=self._memory.steps + 1,
            evaluations=self._memory.evaluations + self._evaluations,
        )
        norm, sign = math.sqrt(now.size[2]), self._sign
        return memory, ClosureInfo(
            norm, False, sign * now.loss, sign * first.loss, done, self._evaluations, stopped,
            searched,
        )  # fmt: skip

    def undone(self) -> ClosureInfo:
        """What is reported of a step that its losses or gradients have ended."""
        first, last = (self._sign * loss for loss in (self._first_loss, self._loss))
        return ClosureInfo(None, True, last, first, 0, self._evaluations, "nonfinite", None)

    def _reason(self, done: int, now: Trial, loss_before: float, reach: float) -> str:
        """Why to stop here; nothing where there is no reason."""
        options, least = self._options, self._options["tolerance_change"]
        if done == options["max_iter"]:
            return "max_iter"
        if self._evaluations >= options["max_eval"]:
            return "max_eval"
        if self._is_flat(now):
            return "gradient"
        if abs(now.t) * reach <= least or abs(now.loss - loss_before) < least:
            return "change"
        return ""

    def _is_flat(self, trial: Trial) -> bool:
        return bool(trial.size[0] <= self._options["tolerance_grad"])

    def _turn_to(self, now: Trial) -> tuple[float, float]:
        """A new direction; its slope and its largest element."""
        memory, slots, engine = self._memory, self._slots, self._engine
        pairs, scale, along = memory.pairs, memory.scale, []
        if memory.iterations > 0:
            s, y = slots.take(), slots.take()
            surplus = max(len(pairs) + 1 - self._options["history_size"], 0)
            dropped, kept = pairs[:surplus], pairs[surplus:]
            ys, yy, products, along = engine.differences(
                now.gradient, memory.gradient, memory.t, memory.d, s, y, [pair.s for pair in kept]
            )
            if ys > LEAST_CURVATURE:
                pairs, scale = (*kept, Pair(s, y, 1.0 / ys, products)), ys / yy
                for old in dropped:
                    slots.give(old.s, old.y)
            else:
                slots.give(s, y)
                of_dropped = [engine.dot(old.s, now.gradient) for old in dropped]
                along = [*of_dropped, *along[:-1]]
            slots.give(memory.d)
        d = slots.take()
        of_direction: tuple[float, float] = engine.direction(now.gradient, pairs, along, scale, d)
        self._memory = memory._replace(
            iterations=memory.iterations + 1, pairs=pairs, scale=scale, d=d, gradient=now.gradient,
            loss=now.loss,
        )  # fmt: skip
        return of_direction

    def _evaluate(self, to: int) -> tuple[float, float, int, Size]:
        """What a :class:`Trial` holds, but for its step length; its slope is not known."""
        loss, leaves = evaluated(self._closure, self._align)
        self._check_present(leaves)
        self._evaluations += 1
        self._loss = self._sign * loss
        if self._evaluations == 1:
            self._first_loss = self._loss
        return self._loss, 0.0, to, self._space.read(leaves, self._sign, to)

    def _check_present(self, leaves: Sequence[Any]) -> None:
        absent = tuple(n for n, g in zip(self._names, leaves, strict=True) if g is None)
        if self._memory.absent is None:
            self._memory = self._memory._replace(absent=absent)
        elif absent != self._memory.absent:
            check_present(absent, self._memory.absent)

    def _try(self, t: float, kept: tuple[Trial, ...]) -> Trial:
        """The trial at x + t·d."""
        trial = self._trial(self._x, t, kept)
        self._at = t
        return trial._replace(slope=self._engine.dot(trial.gradient, self._memory.d))

    def _trial(self, x: int | None, t: float, kept: tuple[Trial, ...]) -> Trial:
        """That at x + t·d, whose slope is not looked at; None for where the parameters are."""
        used = {trial.gradient for trial in kept}
        to = next(vector for vector in self._gradients if vector not in used)
        self._go(x, t)
        trial = Trial(t, *self._evaluate(to))
        if not usable(trial.loss, trial.size[1]):
            raise NotFinite
        return trial

    def _go(self, x: int | None, t: float) -> None:
        assert self._memory.d is not None
        self._space.move(x, t, self._memory.d)

    def _move(self, now: Trial, t: float, evaluate: bool) -> Trial:
        """The point a step of `t` away."""
        if not evaluate:
            self._go(None, t)
            return now._replace(t=t)
        now = self._trial(None, t, (now,))
        if now.loss == math.inf:
            raise NotFinite
        return now

    def _search(self, now: Trial, t: float, reach: float) -> tuple[Trial, str]:
        self._space.save(self._x)
        most = self._options["max_eval"] - self._evaluations
        search = StrongWolfe(self._try, now, reach, most)
        found, how = search.search(t)
        if self._at != found.t:
            self._go(self._x, found.t)
        return found, how

    def _report(self, now: Trial) -> None:
        if self._callback:
            norm = math.sqrt(now.size[2])
            self._callback(self._memory.iterations, self._sign * now.loss, norm)


def with_products(space: Space, pairs: tuple[Pair, ...]) -> tuple[Pair, ...]:
    """The pairs, with the products that are not known."""
    steps = [pair.s for pair in pairs]

    def known(i: int, pair: Pair) -> Pair:
        if pair.products is not None:
            return pair
        return pair._replace(
            products=np.array([space.engine.dot(s, pair.y) for s in steps[:i]], np.float64)
        )

    return tuple(known(i, pair) for i, pair in enumerate(pairs))
