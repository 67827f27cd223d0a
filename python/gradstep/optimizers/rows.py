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
    clips_norm: bool
    skips_nonfinite: bool


def shared_row(h: Mapping[str, Any]) -> tuple[float, ...]:
    """The row up to the rule's own coefficients, in the engine's order.

    Scale and clip_norm, then clip_value, l2, decay, l1 and the weights of the average.
    """
    weight_decay, lr, ema_decay = h["weight_decay"], h["lr"], h["ema_decay"]
    decoupled = h["decoupled_weight_decay"]
    return (
        -1.0 if h["maximize"] else 1.0,
        math.inf if h["clip_norm"] is None else h["clip_norm"],
        math.inf if h["clip_value"] is None else h["clip_value"],
        0.0 if decoupled else weight_decay,
        1.0 - lr * weight_decay if decoupled else 1.0,
        lr * h["l1"],
        1.0 if ema_decay is None else ema_decay,
        0.0 if ema_decay is None else 1.0 - ema_decay,
    )
