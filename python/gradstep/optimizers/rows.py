"""The part of a native row that all rules share, from a group's hyperparameters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple


class Plan(NamedTuple):
    """What hyperparameters decide beyond numbers. While it stays, a step needs no preparation."""

    rule: str
    cautious: bool
    averages: bool
    limits_norms: bool
    skips_nonfinite: bool


def shared_row(h: Mapping[str, Any]) -> tuple[float, ...]:
    """The row up to the rule's own coefficients, in the engine's order.

    Scale and limits of norms, then clip_value, l2, decay, l1 and the weights of the average.
    """
    weight_decay, lr, ema_decay = h["weight_decay"], h["lr"], h["ema_decay"]
    decoupled = h["decoupled_weight_decay"]
    return (
        -1.0 if h["maximize"] else 1.0,
        limit(h["clip_norm"]),
        limit(h["clip_tensor_norm"]),
        limit(h["clip_adaptive"]),
        h["clip_adaptive_eps"],
        limit(h["clip_value"]),
        0.0 if decoupled else weight_decay,
        1.0 - lr * weight_decay if decoupled else 1.0,
        lr * h["l1"],
        1.0 if ema_decay is None else ema_decay,
        0.0 if ema_decay is None else 1.0 - ema_decay,
    )


def limit(value: float | None) -> float:
    return math.inf if value is None else value


def limits_norms(h: Mapping[str, Any]) -> bool:
    names = ("clip_norm", "clip_tensor_norm", "clip_adaptive")
    return any(h[name] is not None for name in names)
