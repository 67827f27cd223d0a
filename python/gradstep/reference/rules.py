"""The registry: every rule by its name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cached_property
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.reference import (
    adagrad,
    adam,
    adam_variants,
    adamax,
    asgd,
    belief,
    ftrl,
    mixture,
    normalized,
    rmsprop,
    rprop,
    sgd,
    sign,
)

Array = NDArray[Any]

FAMILIES = (
    sgd, sign, asgd, rprop, adagrad, rmsprop, ftrl,
    adam, adam_variants, adamax, belief, normalized, mixture,
)  # fmt: skip
WITHOUT_MOMENTUM = {
    "sgd", "signsgd", "asgd", "rprop", "adagrad", "adadelta", "rmsprop", "rmsprop_centered", "ftrl",
}  # fmt: skip


class Rule:
    """A rule's function, and what its signature says.

    Coefficients are its keyword-only parameters, state slots the positional ones behind g.
    """

    def __init__(self, function: Callable[..., Array]) -> None:
        self.name = function.__name__
        self.function = function
        self.has_momentum = self.name not in WITHOUT_MOMENTUM

    @cached_property
    def _parameters(self) -> list[inspect.Parameter]:
        return list(inspect.signature(self.function).parameters.values())

    @cached_property
    def coefficients(self) -> tuple[str, ...]:
        return tuple(p.name for p in self._parameters if p.kind is p.KEYWORD_ONLY)

    @cached_property
    def slots(self) -> tuple[str, ...]:
        positional = [p.name for p in self._parameters if p.kind is not p.KEYWORD_ONLY]
        return tuple(positional[positional.index("g") + 1 :])

    @cached_property
    def gives_step(self) -> bool:
        """Whether it returns the step that is subtracted, or the new parameters."""
        return self._parameters[0].name == "g"

    def moved(self, p: Array, g: Array, slots: list[Array], own: dict[str, Any]) -> Array:
        """The parameters after the rule; the slots are written."""
        if self.gives_step:
            return p - self.function(g, *slots, **own)
        return self.function(p, g, *slots, **own)

    def cautiously_moved(
        self, p: Array, g: Array, slots: list[Array], own: dict[str, Any], scale: Any
    ) -> Array:
        """The same, without the steps that do not suit their gradients; the others are scaled."""
        step = self.function(g, *slots, **own)
        return p - np.where(agree(step, g), scale * step, p.dtype.type(0))

    def agreeing(self, g: Array, slots: list[Array], own: dict[str, Any]) -> Array:
        """Whether each element of a step suits its gradient; the slots are left alone."""
        return agree(self.function(g, *(s.copy() for s in slots), **own), g)


def agree(step: Array, g: Array) -> Array:
    return ((step > 0) & (g > 0)) | ((step < 0) & (g < 0))


def rules_of(module: ModuleType) -> list[Rule]:
    functions = inspect.getmembers(module, inspect.isfunction)
    own = [f for _, f in functions if f.__module__ == module.__name__]
    return [Rule(f) for f in own]


RULES = {rule.name: rule for family in FAMILIES for rule in rules_of(family)}
