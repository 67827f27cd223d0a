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
    oracle: str | None = None  # None: that of the spec


@dataclass(frozen=True)
class Spec:
    """An optimizer class, its variants, and the implementation it is compared with.

    `oracle` is "library.Name" of torch.optim, optax or pytorch_optimizer, or "twin" for plain
    Python in the tests. `tolerance` is relative, by dtype, to the largest parameter at the end.
    `changes` are multiplied into hyperparameters after half of them.
    """

    cls: type[gs.Optimizer]
    variants: tuple[Variant, ...]
    oracle: str
    tolerance: dict[str, float] = field(default_factory=lambda: {"float32": 2e-6, "float64": 1e-12})
    changes: Options = field(default_factory=lambda: {"lr": 0.5})


def adam_like(rule: str, lr: float, **extra: Any) -> tuple[Variant, ...]:
    """The default, other betas and eps, and coupled decay, with an lr that shows in 100 steps."""
    return (
        Variant("default", rule),
        Variant("betas", rule, {"lr": lr, "betas": (0.8, 0.95), "eps": 1e-6, **extra}),
        Variant("coupled_decay", rule, {"lr": lr, "weight_decay": 0.1, **extra}),
    )


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
            Variant(
                "velocity",
                "sgd_velocity",
                {"lr": 0.1, "momentum": 0.9, "lr_in_velocity": True},
                {"momentum": 0.9},
                "optax.velocity",
            ),
            Variant(
                "velocity_nesterov",
                "sgd_velocity_nesterov",
                {"lr": 0.1, "momentum": 0.9, "lr_in_velocity": True, "nesterov": True},
                {"momentum": 0.9, "nesterov": True},
                "optax.velocity",
            ),
        ),
        "torch.SGD",
    ),
    Spec(
        gs.SignSGD,
        (
            Variant("plain", "signsgd", {"lr": 0.01}, {"lr": 0.01, "momentum": 0.0}),
            Variant("momentum", "signum", {"lr": 0.01, "momentum": 0.8}),
        ),
        "pytorch_optimizer.SignSGD",
    ),
    Spec(gs.Signum, (Variant("default", "signum"),), "pytorch_optimizer.SignSGD"),
    Spec(
        gs.Lion,
        (
            Variant("default", "lion", {}, {"b1": 0.9, "b2": 0.99, "weight_decay": 0.0}),
            Variant(
                "decay",
                "lion",
                {"lr": 0.01, "betas": (0.8, 0.9), "weight_decay": 0.1},
                {"b1": 0.8, "b2": 0.9, "weight_decay": 0.1},
            ),
            Variant(
                "cautious",
                "lion",
                {"lr": 0.01, "cautious": True},
                {"lr": 0.01, "cautious": True},
                "pytorch_optimizer.Lion",
            ),
        ),
        "optax.lion",
    ),
    Spec(
        gs.ASGD,
        (
            Variant("default", "asgd"),
            Variant("averaging", "asgd", {"lr": 0.1, "t0": 20, "lambd": 0.01, "alpha": 0.6}),
            Variant("coupled_decay", "asgd", {"lr": 0.1, "weight_decay": 0.1}),
        ),
        "torch.ASGD",
        changes={},  # torch takes the lr of the step before
    ),
    Spec(
        gs.Rprop,
        (
            Variant("default", "rprop"),
            Variant("bounded", "rprop", {"etas": (0.4, 1.4), "step_sizes": (1e-3, 0.05)}),
        ),
        "torch.Rprop",
        changes={},  # lr is the first step size only
    ),
    Spec(
        gs.Adagrad,
        (
            Variant("default", "adagrad"),
            Variant("lr_decay", "adagrad", {"lr": 0.1, "lr_decay": 0.01, "weight_decay": 0.1}),
            Variant("filled", "adagrad", {"lr": 0.1, "initial_accumulator_value": 0.5}),
            Variant(
                "eps_inside",
                "adagrad",
                {"lr": 0.1, "initial_accumulator_value": 0.1, "eps": 1e-3, "eps_inside_sqrt": True},
                {"initial_accumulator_value": 0.1, "eps": 1e-3},
                "optax.adagrad",
            ),
        ),
        "torch.Adagrad",
    ),
    Spec(
        gs.Adadelta,
        (
            Variant("default", "adadelta"),
            Variant("rho", "adadelta", {"lr": 0.5, "rho": 0.8, "eps": 1e-4, "weight_decay": 0.1}),
        ),
        "torch.Adadelta",
    ),
    Spec(
        gs.RMSprop,
        (
            Variant("default", "rmsprop"),
            Variant("momentum", "rmsprop_momentum", {"momentum": 0.9, "weight_decay": 0.1}),
            Variant("centered", "rmsprop_centered", {"centered": True, "alpha": 0.9}),
            Variant(
                "centered_momentum",
                "rmsprop_centered_momentum",
                {"centered": True, "momentum": 0.8, "eps": 1e-4},
            ),
            Variant(
                "eps_inside",
                "rmsprop",
                {"lr": 0.01, "alpha": 0.9, "eps": 1e-3, "eps_inside_sqrt": True},
                {"decay": 0.9, "eps": 1e-3},
                "optax.rmsprop",
            ),
            Variant(
                "nesterov",
                "rmsprop_nesterov",
                {"lr": 0.01, "alpha": 0.9, "momentum": 0.9, "nesterov": True, "eps": 1e-4},
                {
                    "decay": 0.9,
                    "momentum": 0.9,
                    "nesterov": True,
                    "eps": 1e-4,
                    "eps_in_sqrt": False,
                    "late_lr": True,
                },
                "optax.rmsprop",
            ),
            Variant(
                "centered_nesterov",
                "rmsprop_centered_nesterov",
                {
                    "lr": 0.01,
                    "alpha": 0.9,
                    "momentum": 0.9,
                    "nesterov": True,
                    "centered": True,
                    "eps": 1e-3,
                    "eps_inside_sqrt": True,
                },
                {
                    "decay": 0.9,
                    "momentum": 0.9,
                    "nesterov": True,
                    "centered": True,
                    "eps": 1e-3,
                    "late_lr": True,
                },
                "optax.rmsprop",
            ),
        ),
        "torch.RMSprop",
    ),
    Spec(
        gs.FTRL,
        (
            Variant("default", "ftrl"),
            Variant("penalties", "ftrl", {"lr": 0.5, "beta": 0.5, "l1": 0.5, "l2": 0.1}),
            Variant("filled", "ftrl", {"initial_accumulator_value": 0.1, "l1": 2.0}),
        ),
        "twin",
    ),
    Spec(
        gs.Adam,
        (
            *adam_like("adam", 0.02),
            Variant("beta1_zero", "adam", {"lr": 0.02, "betas": (0.0, 0.9)}),
            Variant("amsgrad", "adam_amsgrad", {"lr": 0.01, "amsgrad": True}),
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

CASES = [(spec, variant) for spec in SPECS for variant in spec.variants]
CASE_IDS = [f"{spec.cls.__name__}-{variant.name}" for spec, variant in CASES]

# The options that every optimizer shares, alone and together.
SHARED: dict[str, Options] = {
    "grad_scale": {},
    "clip_norm": {"clip_norm": 0.5},
    "clip_tensor_norm": {"clip_tensor_norm": 0.5},
    "clip_adaptive": {"clip_adaptive": 0.01, "clip_adaptive_eps": 0.3},
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
        "clip_tensor_norm": 0.2,
        "clip_adaptive": 0.01,
        "clip_value": 0.001,
        "skip_nonfinite": True,
        "l1": 0.05,
        "ema_decay": 0.9,
    },
}
