"""What the values of Thinc's hyperparameters come to: a rule of gradstep's and its coefficients."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from gradstep.method.method import Method
from gradstep.method.rows import average, limits
from gradstep.methods.adam import Adam
from gradstep.methods.adam_variants import RAdam
from gradstep.methods.sgd import SGD

Row = tuple[tuple[Any, ...], dict[str, float]]

ADAM, RADAM, SGD_ = Adam(), RAdam(), SGD()
LONGEST_AVERAGE = 0.9999


class Values(NamedTuple):
    """Numbers as Thinc names them, for one step, and what goes with them."""

    learn_rate: float
    b1: float
    b2: float
    eps: float
    L2: float
    grad_clip: float
    L2_is_weight_decay: bool
    use_radam: bool
    lr_scale: float


class Recipe:
    """How to step with these values.

    Thinc decays weights after their step. ``(p − s)·(1 − lr·L2)`` is ``(1 − lr·L2)·p`` less a step
    that is shorter by that factor, so rules that decay first serve.
    """

    def __init__(self, v: Values) -> None:
        self.method = method = method_of(v)
        lr = v.learn_rate * v.lr_scale
        self.clip_norm = v.grad_clip if v.grad_clip else math.inf
        self.penalty = 0.0 if v.L2_is_weight_decay else v.L2
        self.kept = 1.0 - lr * v.L2 if v.L2_is_weight_decay else 1.0
        # Thinc's RAdam takes no lr_scale.
        given = {"lr": v.learn_rate if v.use_radam else lr, "weight_decay": v.L2}
        if method is not SGD_:
            given |= {"betas": (v.b1, v.b2), "eps": v.eps}
        if method is ADAM:
            given["eps_before_correction"] = True
        given["clip_norm"] = v.grad_clip or None
        values = method.values(type(method).__name__, (), given)
        declared = method.hyperparameters
        self.h = h = {name: declared[name].check(value) for name, value in values.items()}
        self.rule = method.rule(h)
        self.limits = limits({**h, "clip_norm": None})
        self.slots = method.state_slots(self.rule, (1,))

    def row(self, t: int, averaged: bool) -> Row:
        """The coefficients of a tensor's `t`-th step, counted from 1."""
        h, rule = self.h, self.rule
        # Thinc's RAdam is one step ahead of its count.
        at = t + 1 if self.method is RADAM else t
        own = {**self.method.coefficients(rule, h), **self.method.step_coefficients(rule, h, at)}
        own["lr" if rule == "sgd" else "step_size"] *= self.kept
        decay = min((1.0 + t) / (10.0 + t), LONGEST_AVERAGE) if averaged else None
        parts = self.limits, (0.0, self.kept, 0.0), average({"ema_decay": decay}), own
        return parts, {}


def method_of(v: Values) -> Method:
    if v.use_radam:
        return RADAM
    if v.b1 > 0.0 and v.b2 > 0.0:
        return ADAM
    if v.b2 > 0.0:
        raise ValueError(
            f"beta1 must be > 0 where beta2 is, got beta1 = {v.b1!r} and beta2 = {v.b2!r}; for SGD "
            "set both to 0"
        )
    return SGD_
