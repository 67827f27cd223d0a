"""What each optimizer is: the data that the tests read. A new optimizer adds a Spec."""

from __future__ import annotations

import gradstep as gs
from tests.spec import Options, Spec, Variant
from tests.specs_of_adam import ADAM_AND_KIN
from tests.specs_of_whole_tensors import WHOLE_TENSORS

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
                "velocity",
                "rmsprop_momentum",
                {"lr": 0.01, "alpha": 0.9, "momentum": 0.9, "eps": 1e-4, "lr_in_velocity": True},
                {"decay": 0.9, "momentum": 0.9, "eps": 1e-4, "eps_in_sqrt": False},
                "optax.rmsprop",
            ),
            Variant(
                "velocity_nesterov",
                "rmsprop_centered_nesterov",
                {
                    "lr": 0.01,
                    "alpha": 0.9,
                    "momentum": 0.9,
                    "nesterov": True,
                    "centered": True,
                    "eps": 1e-3,
                    "eps_inside_sqrt": True,
                    "lr_in_velocity": True,
                },
                {
                    "decay": 0.9,
                    "momentum": 0.9,
                    "nesterov": True,
                    "centered": True,
                    "eps": 1e-3,
                },
                "optax.rmsprop",
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
    *ADAM_AND_KIN,
    *WHOLE_TENSORS,
)

CASES = [(spec, variant) for spec in SPECS for variant in spec.variants]
CASE_IDS = [f"{spec.cls.__name__}-{variant.name}" for spec, variant in CASES]

# Shared options, all of them at once.
ALL_SHARED: Options = {
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
}
