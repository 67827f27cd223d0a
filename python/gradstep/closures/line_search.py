"""A step length that satisfies the strong Wolfe conditions.

Nocedal & Wright 2006, Algorithms 3.5 and 3.6, with the safeguards of minFunc (Schmidt 2005), which
``torch.optim.LBFGS`` has: φ(t) is the loss at x + t·d, and t is accepted where

    φ(t) ≤ φ(0) + c1·t·φ'(0)   and   |φ'(t)| ≤ c2·|φ'(0)|,   c1 = 1e-4, c2 = 0.9.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from gradstep.closures.space import Size

C1, C2 = 1e-4, 0.9
NARROWEST = 1e-9  # an interval in which no parameter moves by as much is searched no further


class Trial(NamedTuple):
    """The loss at one step length, and its derivative."""

    t: float
    loss: float
    slope: float
    gradient: int  # the vector that holds it
    size: Size


Evaluate = Callable[[float, tuple[Trial, ...]], Trial]  # but not into the vectors of these


def cubic_minimum(one: Trial, other: Trial, low: float, high: float) -> float:
    """Where the cubic through two losses and slopes is least, within bounds; else their middle."""
    left, right = (one, other) if one.t <= other.t else (other, one)
    width = right.t - left.t
    if width != 0.0:
        theta = left.slope + right.slope - 3 * (left.loss - right.loss) / -width
        square = theta * theta - left.slope * right.slope
        if square >= 0:
            gamma = math.sqrt(square)
            below = right.slope - left.slope + 2 * gamma
            if below != 0.0:
                t = right.t - width * ((right.slope + gamma - theta) / below)
                if not math.isnan(t):
                    return min(max(t, low), high)
    return (low + high) / 2


class StrongWolfe:
    """One search along a direction.

    Parameters
    ----------
    evaluate
        Of a step length the trial, whose gradient is in none of the vectors of the trials given.
    start
        The trial at 0.
    reach
        The direction's largest absolute element.
    most
        Trials after the first.
    """

    def __init__(self, evaluate: Evaluate, start: Trial, reach: float, most: int) -> None:
        self._evaluate, self._start, self._reach = evaluate, start, reach
        self._most, self._count = most, 0

    def search(self, t: float) -> tuple[Trial, str]:
        """The trial that is best, and how the search ended."""
        previous, trial = self._start, self._evaluate(t, (self._start,))
        while self._count < self._most:
            if self._too_high(trial) or (self._count > 1 and trial.loss >= previous.loss):
                return self._zoom([previous, trial])
            if self._flat(trial):
                return trial, "wolfe"
            if trial.slope >= 0:
                return self._zoom([previous, trial])
            nearest = trial.t + 0.01 * (trial.t - previous.t)
            t = cubic_minimum(previous, trial, nearest, trial.t * 10)
            previous, trial = trial, self._next(t, (self._start, trial))
        return self._zoom([self._start, trial])

    def _next(self, t: float, kept: tuple[Trial, ...]) -> Trial:
        self._count += 1
        return self._evaluate(t, kept)

    def _too_high(self, trial: Trial) -> bool:
        return trial.loss > self._start.loss + C1 * trial.t * self._start.slope

    def _flat(self, trial: Trial) -> bool:
        return abs(trial.slope) <= -C2 * self._start.slope

    def _zoom(self, ends: list[Trial]) -> tuple[Trial, str]:
        """Narrow an interval that holds acceptable lengths."""
        low = lower(ends)
        near_border = False
        while self._count < self._most:
            if abs(ends[1].t - ends[0].t) * self._reach < NARROWEST:
                return ends[low], "interval"
            t, near_border = between(ends, near_border)
            trial = self._next(t, (self._start, *ends))
            high = 1 - low
            if self._too_high(trial) or trial.loss >= ends[low].loss:
                ends[high] = trial
                low = lower(ends)
                continue
            if self._flat(trial):
                return trial, "wolfe"
            if trial.slope * (ends[high].t - ends[low].t) >= 0:
                ends[high] = ends[low]
            ends[low] = trial
        return ends[low], "max_eval"


def lower(ends: list[Trial]) -> int:
    return 0 if ends[0].loss <= ends[1].loss else 1


def between(ends: list[Trial], near_border: bool) -> tuple[float, bool]:
    """The next length to try, and whether it is close to a border.

    If it was before, too, or is at one, it moves inwards by a tenth of the interval.
    """
    left, right = sorted((ends[0].t, ends[1].t))
    t = cubic_minimum(ends[0], ends[1], left, right)
    margin = 0.1 * (right - left)
    if min(right - t, t - left) >= margin:
        return t, False
    if not (near_border or t >= right or t <= left):
        return t, True
    return (right - margin if abs(t - right) < abs(t - left) else left + margin), False
