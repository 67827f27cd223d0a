"""Schedules that rise and fall."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from gradstep.schedules.base import Schedule, hold_counts, hold_numbers
from gradstep.values import power


@dataclass(frozen=True)
class cosine_restarts(Schedule):
    """SGDR: cosine annealing from 1 to `end`, again and again, each time `growth` times as long.

    PyTorch's CosineAnnealingWarmRestarts. Loshchilov and Hutter 2017, arXiv:1608.03983.

    >>> lr = cosine_restarts(10, growth=2)
    >>> lr(5), lr(10), lr(20), lr(30)
    (0.5, 1.0, 0.5, 1.0)
    """

    first: int
    growth: int = 1
    end: float = 0.0

    def __post_init__(self) -> None:
        hold_counts(self, "first", "growth")
        hold_numbers(self, "end")

    def value_at(self, step: int) -> float:
        if self.growth == 1:
            length, since = self.first, step % self.first
        else:
            length, since = self.first, step
            while since >= length:
                since -= length
                length *= self.growth
        return self.end + (1.0 - self.end) * (1.0 + math.cos(math.pi * since / length)) / 2.0


@dataclass(frozen=True)
class one_cycle(Schedule):
    """From `start` up to 1 and down to `end`, along cosines, once; `end` from then on.

    PyTorch's OneCycleLR with start = 1/div_factor and end = start/final_div_factor. Smith and Topin
    2018, arXiv:1708.07120.

    Parameters
    ----------
    steps : int
        Length of the cycle, ≥ 2: the last step, number steps − 1, has the value `end`.
    rise : float, in (0, 1)
        Share of it that rises. With ``rise * steps`` ≤ 1 it begins at the top.

    Examples
    --------
    >>> lr = one_cycle(11, rise=0.5, start=0.0, end=0.0)
    >>> round(lr(0), 9), round(lr(4), 3), round(lr(10), 9)
    (0.0, 0.97, 0.0)
    """

    steps: int
    rise: float = 0.3
    start: float = 0.04
    end: float = 4e-6

    def __post_init__(self) -> None:
        hold_counts(self, "steps", least=2)
        hold_numbers(self, "rise", low=0.0, above_low=True)
        if self.rise >= 1.0:
            raise ValueError(f"rise must be a number in (0, 1), got {self.rise!r}")
        hold_numbers(self, "start", "end")

    def value_at(self, step: int) -> float:
        top, last = self.rise * self.steps - 1.0, self.steps - 1.0
        if step >= last:
            return self.end
        if step <= top:
            return along_cosine(self.start, 1.0, step / top if top else 1.0)
        return along_cosine(1.0, self.end, (step - top) / (last - top))


def along_cosine(start: float, end: float, done: float) -> float:
    return end + (start - end) / 2.0 * (1.0 + math.cos(math.pi * done))


@dataclass(frozen=True)
class cyclic(Schedule):
    """Straight up from `low` to 1 over `up` steps and down over `down`, again and again.

    PyTorch's CyclicLR. Smith 2017, arXiv:1506.01186.

    Parameters
    ----------
    up, down : int
        Lengths, ≥ 1; `down` is `up` where None.
    low : float
        The value between cycles.
    mode : "triangular", "triangular2" or "exp_range"
        Peaks of the same height; half as high (over low) with each cycle; or falling by `factor`
        with each step.

    Examples
    --------
    >>> lr = cyclic(10, low=0.0, mode="triangular2")
    >>> lr(5), lr(10), lr(20), lr(30)
    (0.5, 1.0, 0.0, 0.5)
    """

    up: int
    down: int | None = None
    low: float = 0.0
    mode: Literal["triangular", "triangular2", "exp_range"] = "triangular"
    factor: float = 1.0

    def __post_init__(self) -> None:
        hold_counts(self, "up")
        if self.down is not None:
            hold_counts(self, "down")
        hold_numbers(self, "low")
        hold_numbers(self, "factor", low=0.0)
        modes = ("triangular", "triangular2", "exp_range")
        if self.mode not in modes:
            raise ValueError(f"mode must be one of {modes}, got {self.mode!r}")

    def value_at(self, step: int) -> float:
        down = self.up if self.down is None else self.down
        cycle, since = divmod(step, self.up + down)
        height = since / self.up if since <= self.up else 1.0 - (since - self.up) / down
        if self.mode == "triangular2":
            height = math.ldexp(height, -cycle)
        elif self.mode == "exp_range" and height > 0.0:
            height *= power(self.factor, step)
        return self.low + (1.0 - self.low) * height
