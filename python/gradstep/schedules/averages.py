"""Schedules for ``ema_decay``: how much of an average of the parameters is kept in each step.

They count the optimizer's steps. Where a parameter's gradient is None, the parameter and its
average stay as they are, and that step is not in the average.
"""

from __future__ import annotations

from dataclasses import dataclass

from gradstep.schedules.base import Schedule, hold_counts, hold_numbers


def hold_decay(schedule: debiased_ema | ema_warmup) -> None:
    hold_numbers(schedule, "decay", low=0.0)
    if schedule.decay >= 1.0:
        raise ValueError(f"decay must be a finite number in [0, 1), got {schedule.decay!r}")


@dataclass(frozen=True)
class debiased_ema(Schedule):
    """An exponential average that owes nothing to where it began.

    Its value after n steps is ``Σ dⁿ⁻ⁱ·pᵢ / Σ dⁿ⁻ⁱ``: an average from zero, divided by ``1 − dⁿ``.
    Kept so in place, ``dₙ = d·(1 − dⁿ⁻¹)/(1 − dⁿ)``. It begins after `start` steps; until then the
    average is the parameters themselves.

    >>> import numpy as np, gradstep as gs
    >>> w = np.zeros(1)
    >>> opt = gs.SGD(w, lr=1.0, ema_decay=debiased_ema(0.5))
    >>> for _ in range(2):  # w is 1, then 2
    ...     info = opt.step(-np.ones(1))
    >>> opt.ema["0"].round(4)  # (½·1 + 2)/(½ + 1)
    array([1.6667])
    """

    decay: float
    start: int = 0

    def __post_init__(self) -> None:
        hold_decay(self)
        hold_counts(self, "start", least=0)

    def value_at(self, step: int) -> float:
        n = max(step - self.start, 0)
        return self.decay * (1.0 - self.decay**n) / (1.0 - self.decay ** (n + 1))


@dataclass(frozen=True)
class ema_warmup(Schedule):
    """``min(d, (1 + n)/(offset + n))`` after n steps: a short memory at first, a long one later.

    As TensorFlow's ExponentialMovingAverage does it, with an `offset` of 10.

    >>> [ema_warmup(0.999)(step) for step in (0, 80, 10**6)]
    [0.1, 0.9, 0.999]
    """

    decay: float
    offset: float = 10.0

    def __post_init__(self) -> None:
        hold_decay(self)
        hold_numbers(self, "offset", low=1.0)

    def value_at(self, step: int) -> float:
        return min(self.decay, (1.0 + step) / (self.offset + step))


@dataclass(frozen=True)
class equal_average(Schedule):
    """Stochastic weight averaging: the plain mean of the parameters from some step on.

    The average is that of the parameters after steps `start` + 1, `start` + 1 + `every`, …; before
    the first of them it is the parameters themselves. With a cyclic learning rate, `every` is the
    length of a cycle. Izmailov et al. 2018, arXiv:1803.05407.

    >>> import numpy as np, gradstep as gs
    >>> w = np.zeros(1)
    >>> opt = gs.SGD(w, lr=1.0, ema_decay=equal_average(start=2))
    >>> for _ in range(6):  # w is 1, 2, … 6
    ...     info = opt.step(-np.ones(1))
    >>> opt.ema["0"]  # of 3, 4, 5 and 6
    array([4.5])
    """

    start: int = 0
    every: int = 1

    def __post_init__(self) -> None:
        hold_counts(self, "start", least=0)
        hold_counts(self, "every")

    def value_at(self, step: int) -> float:
        if step < self.start:
            return 0.0
        taken, since = divmod(step - self.start, self.every)
        return taken / (taken + 1) if since == 0 else 1.0
