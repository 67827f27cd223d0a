"""What the values of Thinc's hyperparameters come to: a rule of gradstep's and its coefficients."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from gradstep import runtime
from gradstep.method.method import Method
from gradstep.method.rows import limits
from gradstep.methods.adam import Adam
from gradstep.methods.adam_variants import RAdam
from gradstep.methods.sgd import SGD
from gradstep.reference import RULES

Row = tuple[tuple[Any, ...], dict[str, float]]

LONGEST_AVERAGE = 0.9999
KEPT = 8  # rows; the tensors of a model mostly share one


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
    averaged: bool


class Recipe:
    """How to step with these values.

    Thinc decays weights after their step, rules of gradstep's before it. ``(p − s)·(1 − d)`` is
    ``(1 − d)·p`` less a step that is shorter by the same factor.
    """

    def __init__(self, v: Values, before: Recipe | None = None) -> None:
        """With the recipe of the step before, of which a schedule changes little."""
        self.averaged = v.averaged
        lr = v.learn_rate * v.lr_scale
        self.method, options = method_of(v, lr)
        options |= {"weight_decay": v.L2, "clip_norm": v.grad_clip or None}
        known = before.options if before and before.method is self.method else {}
        declared = self.method.hyperparameters
        for name, value in options.items():
            if known.get(name, math.nan) != value:
                declared[name].check(value)
        self.options: dict[str, Any] = options
        self.h = DEFAULTS[self.method] | options
        self.rule = self.method.rule(self.h)
        self.has_state = bool(RULES[self.rule].slots)
        self.kept = 1.0 - lr * v.L2 if v.L2 and v.L2_is_weight_decay else 1.0
        # Added to the gradient as a factor of the weights, before its norm is limited.
        self.penalty = 0.0 if v.L2_is_weight_decay else float(v.L2)
        self.clip_norm = float(v.grad_clip or math.inf)
        self._rows: dict[int, Row] = {}
        self._steps = runtime.native(), self.rule, self.penalty, self.clip_norm
        native, *steps = self._steps
        self.take: Callable[..., bool] = refuse
        if before and before._steps == self._steps:
            self.take = before.take
        elif native:
            self.take = native.ArrayStep(*steps).take

    def row(self, t: int) -> Row:
        """The coefficients of a tensor's `t`-th step, counted from 1."""
        row = self._rows.get(t)
        if row is None:
            if len(self._rows) >= KEPT:
                self._rows.clear()
            row = self._rows[t] = self._new_row(t)
        return row

    def _new_row(self, t: int) -> Row:
        rule, method, h = self.rule, self.method, self.h
        own = method.coefficients(rule, h)
        # Thinc's RAdam is one step ahead of its count.
        own |= method.step_coefficients(rule, h, t + 1 if method is RADAM else t)
        own["lr" if rule == "sgd" else "step_size"] *= self.kept
        decay = min((1.0 + t) / (10.0 + t), LONGEST_AVERAGE)
        keep_and_take = (decay, 1.0 - decay) if self.averaged else (1.0, 0.0)
        return (UNLIMITED, (0.0, self.kept, 0.0), keep_and_take, own), {}


def method_of(v: Values, lr: float) -> tuple[Method, dict[str, Any]]:
    """A method, and its own hyperparameters."""
    betas = {"betas": (v.b1, v.b2), "eps": v.eps}
    if v.use_radam:
        return RADAM, {"lr": v.learn_rate, **betas}  # Thinc's takes no lr_scale
    if v.b1 > 0.0 and v.b2 > 0.0:
        return ADAM, {"lr": lr, **betas}
    if v.b2 > 0.0:
        raise ValueError(
            f"beta1 must be > 0 where beta2 is, got beta1 = {v.b1!r} and beta2 = {v.b2!r}; for SGD "
            "set both to 0"
        )
    return PLAIN, {"lr": lr}


def refuse(*arrays: object) -> bool:
    return False


ADAM, RADAM, PLAIN = Adam(), RAdam(), SGD()
OPTIONS: dict[Method, dict[str, Any]] = {
    ADAM: {"eps_before_correction": True},
    RADAM: {},
    PLAIN: {"lr": 0.0},
}
DEFAULTS = {
    method: method.values(type(method).__name__, (), options) for method, options in OPTIONS.items()
}
UNLIMITED = limits(DEFAULTS[ADAM])
