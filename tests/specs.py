"""What each optimizer is: the data that the tests read. A new optimizer adds a Spec."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import gradstep as gs

Options = dict[str, Any]


@dataclass(frozen=True)
class Variant:
    """One way to configure an optimizer: the rule it must select, and its oracle's options."""

    name: str
    rule: str
    options: Options = field(default_factory=dict)
    oracle_options: Options | None = None  # None: the same as ours


@dataclass(frozen=True)
class Spec:
    """An optimizer class, its variants, and the implementation it is compared with.

    `tolerance` is relative, by dtype, to the largest parameter after 100 steps.
    """

    cls: type[gs.Optimizer]
    variants: tuple[Variant, ...]
    torch: str | None = None  # the class in torch.optim
    tolerance: dict[str, float] = field(default_factory=lambda: {"float32": 2e-6, "float64": 1e-12})


def momentum_schedule(step: int) -> float:
    return 0.9 - 0.1 * (step % 3)


SPECS = (
    Spec(
        gs.SGD,
        (
            Variant("plain", "sgd", {"lr": 0.1}),
            Variant("coupled_decay", "sgd", {"lr": 0.1, "weight_decay": 0.01}),
            Variant("maximize", "sgd", {"lr": 0.1, "maximize": True}),
            Variant("momentum", "sgd_momentum", {"lr": 0.1, "momentum": 0.9}),
            Variant("damped", "sgd_momentum", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3}),
            Variant("nesterov", "sgd_nesterov", {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
            # While lr is constant, lr inside the velocity gives the same parameters.
            Variant(
                "velocity",
                "sgd_velocity",
                {"lr": 0.1, "momentum": 0.9, "lr_in_velocity": True},
                {"lr": 0.1, "momentum": 0.9},
            ),
            Variant(
                "velocity_nesterov",
                "sgd_velocity_nesterov",
                {"lr": 0.1, "momentum": 0.9, "lr_in_velocity": True, "nesterov": True},
                {"lr": 0.1, "momentum": 0.9, "nesterov": True},
            ),
        ),
        torch="SGD",
    ),
    Spec(
        gs.Adam,
        (
            Variant("default", "adam"),
            Variant("betas", "adam", {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-6}),
            Variant("beta1_zero", "adam", {"lr": 0.02, "betas": (0.0, 0.9)}),
            Variant("coupled_decay", "adam", {"lr": 0.01, "weight_decay": 0.1}),
            Variant("amsgrad", "adam_amsgrad", {"lr": 0.01, "amsgrad": True}),
        ),
        torch="Adam",
    ),
    Spec(
        gs.AdamW,
        (
            Variant("default", "adam"),
            Variant("decay", "adam", {"lr": 0.01, "weight_decay": 0.2}),
            Variant("amsgrad", "adam_amsgrad", {"lr": 0.01, "amsgrad": True, "maximize": True}),
        ),
        torch="AdamW",
    ),
)

CASES = [(spec, variant) for spec in SPECS for variant in spec.variants]
CASE_IDS = [f"{spec.cls.__name__}-{variant.name}" for spec, variant in CASES]

# The options that every optimizer shares, alone and together.
SHARED: dict[str, Options] = {
    "grad_scale": {},
    "clip_norm": {"clip_norm": 0.5},
    "clip_value": {"clip_value": 0.7},
    "coupled_decay": {"weight_decay": 0.03, "decoupled_weight_decay": False},
    "decoupled_decay": {"weight_decay": 0.03, "decoupled_weight_decay": True},
    "l1": {"l1": 0.05},
    "ema": {"ema_decay": 0.9},
    "all": {
        "weight_decay": 0.03,
        "decoupled_weight_decay": True,
        "maximize": True,
        "clip_norm": 0.5,
        "clip_value": 0.001,
        "skip_nonfinite": True,
        "l1": 0.05,
        "ema_decay": 0.9,
    },
}
