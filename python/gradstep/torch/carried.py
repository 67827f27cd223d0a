"""Numbers that PyTorch carries in its state from step to step, and ours compute from the count.

Both are the same while hyperparameters are. Where a scheduler of PyTorch's changes them, its
carried numbers remember those of before; then ours are carried, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gradstep.methods.adam_variants import momentum_at
from gradstep.saving.torch_kinds import derived

CARRIED = {"NAdam": ("mu_product",), "ASGD": ("eta", "mu")}
DEPENDS_ON = {"NAdam": {"betas", "momentum_decay"}, "ASGD": {"lr", "lambd", "alpha", "t0"}}

Numbers = Mapping[str, float]


def carried_keys(kind: str) -> tuple[str, ...]:
    return CARRIED.get(kind, ())


def after_step(
    kind: str, h: Mapping[str, Any], count: int, before: Numbers | None
) -> dict[str, float]:
    """What is carried after the `count`-th step; without `before` hyperparameters were constant."""
    if kind == "NAdam" and before is not None:
        mu = momentum_at(h["betas"][0], h["momentum_decay"], count)
        return {"mu_product": before["mu_product"] * mu}
    return derived(kind, h, count)


def step_coefficients(
    kind: str, h: Mapping[str, Any], t: int, carried: Numbers
) -> dict[str, float]:
    """Those of step `t` that depend on what has been carried to it."""
    if kind == "ASGD":
        eta, mu = carried["eta"], carried["mu"]
        return {"shrink": 1.0 - h["lambd"] * eta, "eta": eta, "keep": 1.0 - mu, "take": mu}
    beta1, decay = h["betas"][0], h["momentum_decay"]
    mu, following = (momentum_at(beta1, decay, t + ahead) for ahead in (0, 1))
    product = carried["mu_product"] * mu
    return {
        "grad_step": h["lr"] * (1.0 - mu) / (1.0 - product),
        "avg_step": h["lr"] * following / (1.0 - product * following),
    }
