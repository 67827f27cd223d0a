"""What Adam and its kin are: a part of ``tests/specs.py``."""

from __future__ import annotations

import gradstep as gs
from tests.spec import Spec, Variant, adam_like

ADAM_AND_KIN = (
    Spec(
        gs.Adam,
        (
            *adam_like("adam", 0.02),
            Variant("beta1_zero", "adam", {"lr": 0.02, "betas": (0.0, 0.9)}),
            Variant("amsgrad", "adam_amsgrad", {"lr": 0.01, "amsgrad": True}),
            Variant(
                "eps_before",
                "adam",
                {"lr": 0.02, "eps": 1e-3, "eps_before_correction": True},
                {},
                "twin",
            ),
        ),
        "torch.Adam",
        changes={"lr": 0.5, "betas": 0.9},
    ),
    Spec(
        gs.AdamW,
        (
            Variant("default", "adam"),
            Variant("decay", "adam", {"lr": 0.01, "weight_decay": 0.2}),
            Variant("amsgrad", "adam_amsgrad", {"lr": 0.01, "amsgrad": True, "maximize": True}),
        ),
        "torch.AdamW",
    ),
    Spec(
        gs.NAdam,
        (
            *adam_like("nadam", 0.01),
            Variant(
                "decoupled_decay",
                "nadam",
                {"weight_decay": 0.2, "decoupled_weight_decay": True, "momentum_decay": 0.1},
            ),
        ),
        "torch.NAdam",
    ),
    Spec(gs.RAdam, adam_like("radam", 0.01), "torch.RAdam", changes={"lr": 0.5, "betas": 0.9}),
    Spec(gs.Adamax, adam_like("adamax", 0.01), "torch.Adamax", changes={"lr": 0.5, "betas": 0.9}),
    Spec(
        gs.AdaBelief,
        (
            Variant("default", "adabelief", {}, {"b1": 0.9, "b2": 0.999}),
            Variant(
                "betas",
                "adabelief",
                {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-6, "eps_root": 1e-8},
                {"b1": 0.8, "b2": 0.95, "eps": 1e-6, "eps_root": 1e-8},
            ),
            Variant("amsgrad", "adabelief_amsgrad", {"lr": 0.01, "amsgrad": True}, None, "twin"),
        ),
        "optax.adabelief",
    ),
    Spec(
        gs.Yogi,
        (
            Variant("default", "yogi", {}, {}),
            Variant(
                "betas",
                "yogi",
                {"betas": (0.8, 0.95), "eps": 0.01},
                {"b1": 0.8, "b2": 0.95, "eps": 0.01},
            ),
        ),
        "optax.yogi",
    ),
    Spec(
        gs.ADOPT,
        (
            Variant("default", "adopt"),
            Variant("betas", "adopt", {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-4}),
            Variant(
                "unlimited",
                "adopt",
                {"lr": 0.01, "weight_decay": 0.1, "clip_exponent": None},
                {"lr": 0.01, "weight_decay": 0.1, "clip_lambda": None},
            ),
        ),
        "pytorch_optimizer.ADOPT",
    ),
    Spec(
        gs.LaProp,
        (
            Variant("default", "laprop"),
            Variant("betas", "laprop", {"lr": 0.01, "betas": (0.8, 0.95)}),
            Variant("cautious", "laprop", {"lr": 0.01, "cautious": True}),
            Variant("amsgrad", "laprop_amsgrad", {"lr": 0.01, "amsgrad": True}),
        ),
        "twin",
    ),
    Spec(
        gs.Adan,
        (
            Variant("default", "adan", {}, {"max_grad_norm": 0.0}),
            Variant(
                "betas",
                "adan",
                {"lr": 0.01, "betas": (0.9, 0.8, 0.95), "eps": 1e-6},
                {"lr": 0.01, "betas": (0.9, 0.8, 0.95), "eps": 1e-6, "max_grad_norm": 0.0},
            ),
        ),
        "pytorch_optimizer.Adan",
    ),
    Spec(
        gs.AdEMAMix,
        (
            Variant("default", "ademamix"),
            Variant(
                "warm_up",
                "ademamix",
                {
                    "betas": (0.8, 0.95, 0.999),
                    "alpha": 4.0,
                    "warmup_steps": 60,
                    "weight_decay": 0.1,
                },
                {
                    "betas": (0.8, 0.95, 0.999),
                    "alpha": 4.0,
                    "t_alpha_beta3": 60,
                    "weight_decouple": True,
                    "weight_decay": 0.1,
                },
            ),
        ),
        "pytorch_optimizer.AdEMAMix",
    ),
)
