"""The options of optimizers that evaluate closures: attributes that are checked when set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gradstep.method.hyperparameters import Hyperparameter
from gradstep.values import shown

# Options that other optimizers have, and why these cannot.
REFUSED = {
    "weight_decay": "add ½·λ·‖θ‖² to the loss that closure returns, and λ·θ to its gradients",
    "l1": "its gradient jumps at 0, which differences of gradients take for curvature; use FTRL or "
    "an optimizer with l1 for exact zeros",
    "clip": "limited gradients are those of no loss, and line searches compare losses with them",
    "grad_scale": "scale loss and gradients in the closure",
    "skip_nonfinite": "a step with losses or gradients that are not finite is always undone",
    "ema_decay": "a step is many iterations, and each is better than the one before it; keep an "
    "average of your own between steps if you need one",
    "groups": "curvature is measured over all parameters together, with one step length",
    "copies": "line searches move parameters several times in a step; round them after it",
    "rounding": "line searches compare losses that narrower parameters cannot tell apart",
    "state_dtype": "line searches compare losses that narrower state cannot tell apart",
}


class Option:
    """A hyperparameter as an attribute."""

    def __init__(self, declared: Hyperparameter) -> None:
        self.declared = declared
        self.__doc__ = declared.doc

    def __set_name__(self, owner: type, name: str) -> None:
        self.declared.name = name

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self.declared if instance is None else instance._options[self.declared.name]

    def __set__(self, instance: Any, value: Any) -> None:
        checked = {self.declared.name: self.declared.check(value)}
        instance._options = instance._options | checked


def declared(cls: type) -> dict[str, Hyperparameter]:
    return {
        name: option.declared
        for klass in reversed(cls.__mro__)
        for name, option in vars(klass).items()
        if isinstance(option, Option)
    }


def checked(cls: type, given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: option.check(given[name]) for name, option in declared(cls).items()}


def refuse(kind: str, others: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    """Raise a TypeError for options that there are none of."""
    for name in others:
        for start, why in REFUSED.items():
            if name.startswith(start):
                raise TypeError(f"{kind} has no option {name!r}: {why}")
        raise TypeError(
            f"{kind} has no option {name!r}, got {shown(others[name])}; its options are "
            f"{', '.join(known)}"
        )
