"""Schedules: hyperparameters as functions of the number of completed steps.

A schedule is a value. Calling it with a step number gives the hyperparameter for the next step; it
never changes, and nothing else needs to be told. Multiply one by a number or by another schedule:

>>> from gradstep import schedules
>>> lr = schedules.linear_warmup(4) * 0.1
>>> [round(lr(step), 3) for step in range(6)]
[0.0, 0.025, 0.05, 0.075, 0.1, 0.1]
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Schedule", "constant", "linear_warmup"]


class Schedule:
    """A callable ``step -> value`` that can be scaled with ``*``."""

    def __call__(self, step: int) -> float:
        raise NotImplementedError

    def __mul__(self, other: float | Callable[[int], float]) -> Schedule:
        return Product(self, other if callable(other) else constant(other))

    __rmul__ = __mul__


@dataclass(frozen=True)
class Product(Schedule):
    """The product of two schedules."""

    left: Callable[[int], float]
    right: Callable[[int], float]

    def __call__(self, step: int) -> float:
        return self.left(step) * self.right(step)

    def __repr__(self) -> str:
        return f"{self.left!r} * {self.right!r}"


@dataclass(frozen=True)
class constant(Schedule):
    """The same value at every step.

    >>> constant(0.1)(1000)
    0.1
    """

    value: float

    def __call__(self, step: int) -> float:
        return self.value


@dataclass(frozen=True)
class linear_warmup(Schedule):
    """From `start` to 1 in a straight line over `steps` steps, and 1 from then on.

    Parameters
    ----------
    steps : int
        Length of the warm-up, ≥ 1.
    start : float
        The value at step 0.

    >>> linear_warmup(10)(5)
    0.5
    """

    steps: int
    start: float = 0.0

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps must be ≥ 1, got {self.steps}")

    def __call__(self, step: int) -> float:
        return self.start + (1.0 - self.start) * min(step / self.steps, 1.0)
