"""The registry: every rule by its name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Function = Callable[..., Array]


class Rule:
    """What the steps of some optimizers do, in NumPy.

    ``function(g, *slots, **coefficients)`` writes the slots and returns the step that is
    subtracted. Where `sets_parameter`, p comes before g and the new parameters are returned.
    """

    def __init__(
        self,
        function: Function,
        slots: tuple[str, ...],
        has_momentum: bool,
        sets_parameter: bool,
    ) -> None:
        self.function = function
        self.slots = slots
        code = function.__code__
        self.coefficients = code.co_varnames[code.co_argcount :][: code.co_kwonlyargcount]
        self.has_momentum = has_momentum
        self.sets_parameter = sets_parameter

    def moved(self, p: Array, g: Array, slots: list[Array], own: dict[str, Any]) -> Array:
        """The parameters after the rule; the slots are written."""
        if self.sets_parameter:
            return self.function(p, g, *slots, **own)
        return p - self.function(g, *slots, **own)

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


RULES: dict[str, Rule] = {}


def rule(
    *slots: str, momentum: bool = False, sets_parameter: bool = False
) -> Callable[[Function], Function]:
    """Register a function as the rule of its name, with these state slots."""

    def register(function: Function) -> Function:
        RULES[function.__name__] = Rule(function, slots, momentum, sets_parameter)
        return function

    return register
