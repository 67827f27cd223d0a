"""The iterations of one step of L-BFGS."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from gradstep.arrays.structure import Align
from gradstep.closures.evaluation import Closure, check_present, evaluated, usable
from gradstep.closures.info import ClosureInfo, NotFinite
from gradstep.closures.line_search import StrongWolfe, Trial
from gradstep.closures.space import Size, Slots, Space

Pair = tuple[int, int, float]
Callback = Callable[[int, float, float], object]

LEAST_CURVATURE = 1e-10  # y·s of a pair that is kept


class Memory(NamedTuple):
    """What lasts from step to step; vectors by their numbers."""

    steps: int = 0
    iterations: int = 0
    evaluations: int = 0
    pairs: tuple[Pair, ...] = ()  # from the oldest: s, y, 1/(y·s)
    scale: float = 1.0  # of the first inverse Hessian
    t: float = 0.0  # of the last move, along d, from where this gradient is of
    d: int | None = None
    gradient: int | None = None
    loss: float = 0.0  # where this gradient is of
    absent: tuple[str, ...] | None = None  # parameters without a gradient; None: not known yet

    def vectors(self) -> set[int]:
        of_pairs = {vector for s, y, _ in self.pairs for vector in (s, y)}
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
        self._space, self._slots, self._memory, self._options = space, slots, memory, options
        self._closure, self._align, self._callback = closure, align, callback
        self._engine = space.engine
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
            self._space.save(self._x)
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
        pairs, scale, first = memory.pairs, memory.scale, memory.iterations == 0
        if not first:
            s, y = slots.take(), slots.take()
            ys, yy = engine.differences(now.gradient, memory.gradient, memory.t, memory.d, s, y)
            if ys > LEAST_CURVATURE:
                kept = self._options["history_size"] - 1
                dropped = pairs[: max(len(pairs) - kept, 0)]
                pairs = (*pairs[len(dropped) :], (s, y, 1.0 / ys))
                scale = ys / yy
                for old_s, old_y, _ in dropped:
                    slots.give(old_s, old_y)
            else:
                slots.give(s, y)
            slots.give(memory.d)
        d = slots.take()
        of_direction: tuple[float, float] = engine.direction(now.gradient, pairs, scale, d)
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
        used = {trial.gradient for trial in kept}
        to = next(vector for vector in self._gradients if vector not in used)
        d = self._memory.d
        assert d is not None
        self._space.move(self._x, t, d)
        loss, _, _, size = self._evaluate(to)
        if not usable(loss, size[1]):
            raise NotFinite
        self._at = t
        return Trial(t, loss, self._engine.dot(to, d), to, size)

    def _move(self, now: Trial, t: float, evaluate: bool) -> Trial:
        """The point a step of `t` away."""
        if evaluate:
            now = self._try(t, (now,))
            if now.loss == math.inf:
                raise NotFinite
            return now
        assert self._memory.d is not None
        self._space.move(self._x, t, self._memory.d)
        return now._replace(t=t)

    def _search(self, now: Trial, t: float, reach: float) -> tuple[Trial, str]:
        most = self._options["max_eval"] - self._evaluations
        search = StrongWolfe(self._try, now, reach, most)
        found, how = search.search(t)
        if self._at != found.t:
            assert self._memory.d is not None
            self._space.move(self._x, found.t, self._memory.d)
        return found, how

    def _report(self, now: Trial) -> None:
        if self._callback:
            norm = math.sqrt(now.size[2])
            self._callback(self._memory.iterations, self._sign * now.loss, norm)
