"""The optimizers whose steps depend on whole tensors."""

from __future__ import annotations

from typing import Any

import gradstep as gs
from tests.spec import Spec, Variant

OPTAX: dict[str, Any] = {"b1": 0.8, "b2": 0.95, "eps": 1e-5, "weight_decay": 0.1}
WITHOUT_RATIO: dict[str, Any] = {"trust_ratio": False, "weight_decay": 0.1}
BESIDE_Y = ("decoupled_weight_decay", "l1", "ema_decay", "ema_dtype")

WHOLE_TENSORS = (
    Spec(
        gs.LAMB,
        (
            Variant("default", "lamb", {}, {}),
            Variant(
                "decay",
                "lamb",
                {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-5, "weight_decay": 0.1},
                OPTAX,
            ),
            Variant(
                "without_ratio",
                "adam",
                WITHOUT_RATIO,
                {"weight_decay": 0.1, "eps": 1e-6},
                "torch.AdamW",
            ),
        ),
        "optax.lamb",
    ),
    Spec(
        gs.LARS,
        (
            Variant("default", "lars", {}, {}),
            Variant(
                "decay",
                "lars",
                {"weight_decay": 0.1, "trust_coefficient": 0.02, "eps": 0.01, "momentum": 0.8},
                {"weight_decay": 0.1, "trust_coefficient": 0.02, "eps": 0.01, "momentum": 0.8},
            ),
            Variant(
                "nesterov",
                "lars_nesterov",
                {"nesterov": True, "trust_coefficient": 0.02},
                {"nesterov": True, "trust_coefficient": 0.02},
            ),
            Variant(
                "without_ratio",
                "sgd_velocity",
                {"trust_ratio": False},
                {"momentum": 0.9},
                "optax.velocity",
            ),
            Variant(
                "nesterov_without_ratio",
                "sgd_velocity_nesterov",
                {"trust_ratio": False, "nesterov": True},
                {"momentum": 0.9, "nesterov": True},
                "optax.velocity",
            ),
        ),
        "optax.lars",
    ),
    Spec(
        gs.NovoGrad,
        (
            Variant("default", "novograd", {}, {"b1": 0.95, "b2": 0.98, "eps": 1e-8}),
            Variant(
                "decay",
                "novograd",
                {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-5, "weight_decay": 0.1},
                OPTAX,
            ),
            Variant(
                "averaging",
                "novograd",
                {"grad_averaging": True},
                {"betas": (0.95, 0.98), "grad_averaging": True, "lr": 1e-2},
                "pytorch_optimizer.NovoGrad",
            ),
        ),
        "optax.novograd",
    ),
    Spec(
        gs.StableAdamW,
        (
            Variant("default", "stable_adamw", {}, {"lr": 1e-3, "weight_decay": 0.01}),
            Variant(
                "decay",
                "stable_adamw",
                {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-5, "weight_decay": 0.1},
            ),
        ),
        "optimi.StableAdamW",
    ),
    Spec(
        gs.MARS,
        (
            Variant("default", "mars", {}, {"optimize_1d": True}),
            Variant(
                "decay",
                "mars",
                {"lr": 0.02, "betas": (0.8, 0.95), "gamma": 0.1, "weight_decay": 0.1},
                {
                    "lr": 0.02,
                    "betas": (0.8, 0.95),
                    "gamma": 0.1,
                    "weight_decay": 0.1,
                    "optimize_1d": True,
                },
            ),
        ),
        "pytorch_optimizer.MARS",
        tolerance={"float32": 2e-6, "float64": 1e-8},  # it adds 1e-15 to squares under the root
    ),
    Spec(
        gs.Prodigy,
        (
            Variant("default", "prodigy"),
            Variant(
                "corrected",
                "prodigy",
                {"d0": 1e-3, "weight_decay": 0.1, "use_bias_correction": True, "d_coef": 0.5},
            ),
            Variant(
                "safeguarded",
                "prodigy",
                {"d0": 1e-2, "safeguard_warmup": True, "growth_rate": 1.02, "beta3": 0.9},
            ),
        ),
        "prodigyopt.Prodigy",
        refuses=("l1",),
    ),
    Spec(
        gs.Adafactor,
        (
            Variant("default", "adafactor"),
            Variant(
                "decay",
                "adafactor",
                {
                    "lr": 0.3,
                    "beta2_decay": -0.5,
                    "eps": (1e-3, 0.1),
                    "d": 1.5,
                    "weight_decay": 0.1,
                },
            ),
        ),
        "torch.Adafactor",
        refuses=("clip_value", "clip_adaptive", "clip_adaptive_axis", "coupled_decay"),
    ),
    Spec(
        gs.ScheduleFreeSGD,
        (
            Variant("default", "schedule_free_sgd", {"lr": 0.1}),
            Variant(
                "warmup",
                "schedule_free_sgd",
                {"lr": 0.1, "momentum": 0.8, "weight_decay": 0.1, "warmup_steps": 30, "r": 1.0},
            ),
        ),
        "schedulefree.SGDScheduleFree",
        refuses=BESIDE_Y,
    ),
    Spec(
        gs.ScheduleFreeAdamW,
        (
            Variant("default", "schedule_free_adam"),
            Variant(
                "warmup",
                "schedule_free_adam",
                {"lr": 0.02, "betas": (0.8, 0.95), "weight_decay": 0.1, "warmup_steps": 30},
            ),
        ),
        "schedulefree.AdamWScheduleFree",
        refuses=BESIDE_Y,
    ),
)
