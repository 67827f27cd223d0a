"""Schedules: hyperparameters as functions of the number of completed steps.

A schedule is a value. Calling it with a step number gives the hyperparameter for the next step; it
never changes, can be pickled and compared, and its ``repr`` rebuilds it. Most begin or end at 1 and
are scaled by a number or by another schedule:

>>> from gradstep import schedules
>>> lr = schedules.linear_warmup(4) * schedules.cosine_annealing(8) * 0.1
>>> [round(lr(step), 4) for step in range(9)]
[0.0, 0.024, 0.0427, 0.0519, 0.05, 0.0309, 0.0146, 0.0038, 0.0]

With an array of steps it gives an array of values, to plot. Schedules are also added, ``+``, and
divided, ``/``. One after another, limited, or by the epoch:

>>> warm = schedules.linear_warmup(2)
>>> lr = schedules.join([warm, schedules.exponential(0.5)], at=[2]).clamp(low=0.2)
>>> [lr(step) for step in range(6)]
[0.2, 0.5, 1.0, 0.5, 0.25, 0.2]
>>> by_epoch = schedules.step_decay(1, 0.1).per_epoch(steps=100)
>>> by_epoch(99), by_epoch(100)
(1.0, 0.1)

Lengths are integers ≥ 1, factors finite numbers ≥ 0 if nothing else is said. What is not legal is a
TypeError or ValueError when the schedule is made.

For averages of the parameters, as ``ema_decay``: :class:`debiased_ema`, :class:`ema_warmup`, and
:class:`equal_average` for stochastic weight averaging.

Any other callable ``step -> value`` works as a hyperparameter too.
"""

from gradstep.schedules.averages import debiased_ema, ema_warmup, equal_average
from gradstep.schedules.base import Schedule, constant, join, piecewise
from gradstep.schedules.cycles import cosine_restarts, cyclic, one_cycle
from gradstep.schedules.decays import (
    cosine_annealing,
    exponential,
    inverse_sqrt,
    inverse_time,
    linear,
    multistep,
    polynomial,
    step_decay,
)
from gradstep.schedules.plateau import ReduceLROnPlateau
from gradstep.schedules.warmups import exponential_warmup, linear_warmup, warmup_stable_decay

__all__ = [
    "ReduceLROnPlateau",
    "Schedule",
    "constant",
    "cosine_annealing",
    "cosine_restarts",
    "cyclic",
    "debiased_ema",
    "ema_warmup",
    "equal_average",
    "exponential",
    "exponential_warmup",
    "inverse_sqrt",
    "inverse_time",
    "join",
    "linear",
    "linear_warmup",
    "multistep",
    "one_cycle",
    "piecewise",
    "polynomial",
    "step_decay",
    "warmup_stable_decay",
]
