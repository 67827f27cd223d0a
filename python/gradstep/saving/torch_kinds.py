"""What PyTorch's optimizers have: their hyperparameters, and state that ours compute instead."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from gradstep.method.method import SHARED
from gradstep.methods.adam_variants import momentum_product
from gradstep.optimizer.front import Optimizer
from gradstep.values import shown

OPTIONS = {
    "SGD": {"lr", "momentum", "dampening", "weight_decay", "nesterov"},
    "ASGD": {"lr", "lambd", "alpha", "t0", "weight_decay"},
    "Rprop": {"lr", "etas", "step_sizes"},
    "Adagrad": {"lr", "lr_decay", "eps", "weight_decay", "initial_accumulator_value"},
    "Adadelta": {"lr", "rho", "eps", "weight_decay"},
    "RMSprop": {"lr", "momentum", "alpha", "eps", "centered", "weight_decay"},
    "Adam": {"lr", "betas", "eps", "weight_decay", "amsgrad"},
    "AdamW": {"lr", "betas", "eps", "weight_decay", "amsgrad"},
    "NAdam": {"lr", "betas", "eps", "weight_decay", "momentum_decay"},
    "RAdam": {"lr", "betas", "eps", "weight_decay"},
    "Adamax": {"lr", "betas", "eps", "weight_decay"},
    "Adafactor": {"lr", "beta2_decay", "eps", "d", "weight_decay"},
}
NEWER = {"maximize", "decoupled_weight_decay"}  # not in the files of older versions
DECOUPLED = {"AdamW", "Adafactor"}  # where it cannot be switched off
DECOUPLES = {"Adam", "AdamW", "NAdam", "RAdam"}  # where decoupled_weight_decay is an option
# How a step is computed, what the user's own tools noted, and what torch's schedulers did.
IGNORED = {"params", "param_names", "foreach", "fused", "capturable", "differentiable"} | {
    "initial_lr", "max_lr", "min_lr", "max_momentum", "base_momentum", "swa_lr",
}  # fmt: skip
DERIVED = {"NAdam": {"mu_product"}, "ASGD": {"eta", "mu"}}  # state that follows from the step
HOW_STORED = {"state_dtype", "ema_dtype", "seed"}  # tensors have dtypes of their own
NEUTRAL = {
    **{name: SHARED[name].default for name in SHARED.keys() - HOW_STORED},
    "cautious": False,
    "lr_in_velocity": False,
    "eps_inside_sqrt": False,
    "eps_before_correction": False,
    "nesterov": False,
}


def kind_of(opt: Any) -> str:
    kind = type(opt).__name__
    if not isinstance(opt, Optimizer) or kind not in OPTIONS:
        raise TypeError(
            f"opt must be one of these of torch.optim: {', '.join(OPTIONS)}; load Muon's and "
            f"LBFGS's with gradstep.torch; got {kind}"
        )
    return kind


def options_of(kind: str, theirs: Mapping[str, Any]) -> dict[str, Any]:
    """The hyperparameters of a group of PyTorch's."""
    came = set(theirs) - IGNORED
    missing, unknown = OPTIONS[kind] - came, came - OPTIONS[kind] - NEWER
    if missing or unknown:
        raise ValueError(
            f"state_dict must be that of a torch.optim.{kind}, but a group "
            + (f"has no {sorted(missing)}" if missing else f"has {sorted(map(str, unknown))}")
        )
    options = {name: plain(theirs[name]) for name in came}
    for name, value in options.items():
        if any(map(callable, value if isinstance(value, tuple) else (value,))):
            raise TypeError(
                f"{name} in a group of state_dict must be a number, as torch.optim.{kind} has it, "
                f"got {shown(value)}; a schedule is an option of the optimizer that loads"
            )
    if kind not in DECOUPLES and "weight_decay" in options:
        options["decoupled_weight_decay"] = kind in DECOUPLED
    return options


def plain(value: Any) -> Any:
    """Numbers for tensors that hold one."""
    return tuple(map(item, value)) if isinstance(value, (tuple, list)) else item(value)


def item(value: Any) -> Any:
    return value.item() if math.prod(getattr(value, "shape", (2,))) == 1 else value


def refuse_what_it_lacks(kind: str, h: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
    neutral = {name: value for name, value in NEUTRAL.items() if name not in defaults}
    if kind in DECOUPLED:
        neutral["decoupled_weight_decay"] = True
    if h["weight_decay"] == 0.0:
        neutral.pop("decoupled_weight_decay", None)
    for name, value in neutral.items():
        if name in h and h[name] != value:
            raise ValueError(
                f"torch.optim.{kind} has no {name} = {h[name]!r}; set it to {value!r} first"
            )


def derived(kind: str, h: Mapping[str, Any], count: int) -> dict[str, float]:
    """What PyTorch keeps and we compute from the step count."""
    if kind == "NAdam":
        return {"mu_product": momentum_product(h["betas"][0], h["momentum_decay"], count)}
    if kind == "ASGD":
        eta = h["lr"] / (1.0 + h["lambd"] * h["lr"] * count) ** h["alpha"]
        return {"eta": eta, "mu": 1.0 / max(1.0, count - h["t0"])}
    return {}
