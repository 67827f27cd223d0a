"""Schedules that rise to 1."""

from __future__ import annotations

from dataclasses import dataclass

from gradstep.schedules.base import Schedule, hold_counts, hold_numbers


@dataclass(frozen=True)
class linear_warmup(Schedule):
    """From `start` to 1 in a straight line over `steps` steps, and 1 from then on.

    With the default start the very first step has a learning rate of 0, as in Optax. From base/W to
    base over W steps, ``base * linear_warmup(W - 1, start=1/W)``.

    >>> linear_warmup(10)(5)
    0.5
    """

    steps: int
    start: float = 0.0

    def __post_init__(self) -> None:
        hold_counts(self, "steps")
        hold_numbers(self, "start")

    def value_at(self, step: int) -> float:
        if step >= self.steps:
            return 1.0
        done = step / self.steps
        return self.start * (1.0 - done) + done


@dataclass(frozen=True)
class exponential_warmup(Schedule):
    """``start^(1 − t/steps)``: to 1 by equal factors over `steps` steps, and 1 from then on.

    >>> exponential_warmup(10, start=0.01)(5)
    0.1
    """

    steps: int
    start: float = 0.01

    def __post_init__(self) -> None:
        hold_counts(self, "steps")
        hold_numbers(self, "start", low=0.0, above_low=True)

    def value_at(self, step: int) -> float:
        return float(self.start ** (1.0 - min(step / self.steps, 1.0)))


@dataclass(frozen=True)
class warmup_stable_decay(Schedule):
    """Up to 1 over `warmup` steps, 1 for `stable`, and down to `end` over `decay`, all straight.

    Hu et al. 2024, arXiv:2404.06395.

    >>> lr = warmup_stable_decay(10, 70, 20, end=0.1)
    >>> [round(lr(step), 3) for step in (0, 5, 10, 80, 90, 100, 200)]
    [0.0, 0.5, 1.0, 1.0, 0.55, 0.1, 0.1]
    """

    warmup: int
    stable: int
    decay: int
    start: float = 0.0
    end: float = 0.0

    def __post_init__(self) -> None:
        hold_counts(self, "warmup")
        hold_counts(self, "stable", least=0)
        hold_counts(self, "decay")
        hold_numbers(self, "start", "end")

    def value_at(self, step: int) -> float:
        risen = min(step / self.warmup, 1.0)
        fallen = min(max(step - self.warmup - self.stable, 0) / self.decay, 1.0)
        if fallen > 0.0:
            return 1.0 - fallen + self.end * fallen
        return self.start * (1.0 - risen) + risen
