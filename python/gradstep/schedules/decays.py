"""Schedules that fall from 1."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, pi, sqrt

from gradstep.schedules.base import Schedule, check_ascending, hold, hold_counts, hold_numbers
from gradstep.values import power


@dataclass(frozen=True)
class step_decay(Schedule):
    """``factor^⌊t/every⌋``; PyTorch's StepLR.

    >>> step_decay(10, 0.5)(25)
    0.25
    """

    every: int
    factor: float = 0.1

    def __post_init__(self) -> None:
        hold_counts(self, "every")
        hold_numbers(self, "factor", low=0.0)

    def value_at(self, step: int) -> float:
        return power(self.factor, step // self.every)


@dataclass(frozen=True)
class multistep(Schedule):
    """``factor^n``, n the number of milestones reached; PyTorch's MultiStepLR.

    >>> multistep([10, 15], 0.5)(15)
    0.25
    """

    milestones: Sequence[int]
    factor: float = 0.1

    def __post_init__(self) -> None:
        hold(self, milestones=check_ascending("milestones", self.milestones))
        hold_numbers(self, "factor", low=0.0)

    def value_at(self, step: int) -> float:
        return power(self.factor, bisect_right(self.milestones, step))


@dataclass(frozen=True)
class exponential(Schedule):
    """``factor^t``; PyTorch's ExponentialLR.

    A factor above 1 grows to infinity, which a step refuses: give ``clamp(high=...)``.

    >>> exponential(0.5)(3)
    0.125
    """

    factor: float

    def __post_init__(self) -> None:
        hold_numbers(self, "factor", low=0.0)

    def value_at(self, step: int) -> float:
        return power(self.factor, step)


@dataclass(frozen=True)
class cosine_annealing(Schedule):
    """``end + (1 − end)·(1 + cos(π·t/steps))/2``, and `end` from then on.

    Optax's cosine_decay_schedule. PyTorch's CosineAnnealingLR is the same up to `steps` and rises
    again afterwards. Loshchilov and Hutter 2017, arXiv:1608.03983.

    >>> cosine_annealing(10, end=0.5)(5)
    0.75
    """

    steps: int
    end: float = 0.0

    def __post_init__(self) -> None:
        hold_counts(self, "steps")
        hold_numbers(self, "end")

    def value_at(self, step: int) -> float:
        if step >= self.steps:
            return self.end
        risen = 1.0 + cos(pi * step / self.steps)
        return self.end + (1.0 - self.end) * risen / 2.0


@dataclass(frozen=True)
class linear(Schedule):
    """From `start` to `end` in a straight line over `steps` steps; PyTorch's LinearLR.

    >>> linear(10)(4)
    0.6
    """

    steps: int
    start: float = 1.0
    end: float = 0.0

    def __post_init__(self) -> None:
        hold_counts(self, "steps")
        hold_numbers(self, "start", "end")

    def value_at(self, step: int) -> float:
        done = min(step / self.steps, 1.0)
        return self.start * (1.0 - done) + self.end * done


@dataclass(frozen=True)
class polynomial(Schedule):
    """``end + (1 − end)·(1 − t/steps)^power``, and `end` from then on; PyTorch's PolynomialLR.

    >>> polynomial(10, power=2.0)(5)
    0.25
    """

    steps: int
    power: float = 1.0
    end: float = 0.0

    def __post_init__(self) -> None:
        hold_counts(self, "steps")
        hold_numbers(self, "power", low=0.0, above_low=True)
        hold_numbers(self, "end")

    def value_at(self, step: int) -> float:
        left = 1.0 - min(step / self.steps, 1.0)
        return float(self.end + (1.0 - self.end) * left**self.power)


@dataclass(frozen=True)
class inverse_time(Schedule):
    """``1/(1 + rate·t/steps)``; Keras's InverseTimeDecay.

    >>> inverse_time(10)(30)
    0.25
    """

    steps: int
    rate: float = 1.0

    def __post_init__(self) -> None:
        hold_counts(self, "steps")
        hold_numbers(self, "rate", low=0.0)

    def value_at(self, step: int) -> float:
        return 1.0 / (1.0 + self.rate * step / self.steps)


@dataclass(frozen=True)
class inverse_sqrt(Schedule):
    """``t/warmup`` up to 1, then ``√(warmup/t)``: that of the first transformers.

    Vaswani et al. 2017, arXiv:1706.03762, equation 3, scaled to a peak of 1.

    >>> lr = inverse_sqrt(100)
    >>> lr(50), lr(100), lr(400)
    (0.5, 1.0, 0.5)
    """

    warmup: int

    def __post_init__(self) -> None:
        hold_counts(self, "warmup")

    def value_at(self, step: int) -> float:
        if step < self.warmup:
            return step / self.warmup
        return sqrt(self.warmup / step)
