"""The part of a native row that all rules share, from a group's hyperparameters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from gradstep.reference import RULES


class Plan(NamedTuple):
    """What hyperparameters decide beyond numbers. While it stays, a step needs no preparation."""

    rule: str
    cautious: bool
    averages: bool
    limits_norms: bool
    skips_nonfinite: bool
    units_axis: int
    rounding: str
    state_dtype: str | None
    ema_dtype: str | None
    longest: float = math.inf  # that a matrix of the state may be

    @property
    def draws(self) -> bool:
        """Whether what steps write may depend on draws."""
        narrow = {self.state_dtype, self.ema_dtype} - {None, "float32"}
        return self.rounding == "stochastic" or bool(narrow)


def plan_of(rule: str, h: Mapping[str, Any]) -> Plan:
    """What hyperparameters of an optimizer on `rule` ask for."""
    cautious = h.get("cautious", False)
    if cautious and not RULES[rule].has_momentum:
        raise ValueError("cautious=True needs momentum: without it every step suits its gradient")
    limits = (h["clip_norm"], h["clip_tensor_norm"], h["clip_adaptive"])
    return Plan(
        rule,
        cautious,
        averages=h["ema_decay"] is not None,
        limits_norms=any(limit is not None for limit in limits),
        skips_nonfinite=h["skip_nonfinite"],
        units_axis=h["clip_adaptive_axis"],
        rounding=h["rounding"],
        state_dtype=h["state_dtype"],
        ema_dtype=h["ema_dtype"],
    )


# A row is limits, penalties, average and the rule's own coefficients.


def limits(h: Mapping[str, Any]) -> tuple[float, ...]:
    """The gradient's scale, the limits of its norms, and clip_value."""
    return (
        -1.0 if h["maximize"] else 1.0,
        limit(h["clip_norm"]),
        limit(h["clip_tensor_norm"]),
        limit(h["clip_adaptive"]),
        h["clip_adaptive_eps"],
        limit(h["clip_value"]),
    )


def limit(value: float | None) -> float:
    return math.inf if value is None else value


def penalties(h: Mapping[str, Any]) -> tuple[float, ...]:
    """Coupled decay, the factor of decoupled decay, and the threshold of proximal L1."""
    weight_decay, l1 = h["weight_decay"], h["l1"]
    l1 = h["lr"] * l1 if l1 else 0.0
    if h["decoupled_weight_decay"]:
        return 0.0, 1.0 - h["lr"] * weight_decay if weight_decay else 1.0, l1
    return weight_decay, 1.0, l1


def average(h: Mapping[str, Any]) -> tuple[float, ...]:
    """What an average keeps, and what it takes of the parameter."""
    ema_decay = h["ema_decay"]
    return (1.0, 0.0) if ema_decay is None else (ema_decay, 1.0 - ema_decay)


def draws(seed: int, t: int) -> int:
    """What stands for the `t`-th step where rounding draws; never 0."""
    z = (seed * 0xD1342543DE82EF95 + t * 0x9E3779B97F4A7C15) % 2**64
    z = (z ^ (z >> 32)) * 0xDABA0B6EB09322E3 % 2**64
    return z ^ (z >> 32) or 1


def key_of(name: str) -> int:
    """What stands for a parameter there: the FNV-1a hash of its name."""
    key = 0xCBF29CE484222325
    for byte in name.encode("utf-8", "surrogatepass"):
        key = (key ^ byte) * 0x100000001B3 % 2**64
    return key
