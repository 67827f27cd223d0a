"""The registry: every rule by its name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Function = Callable[..., Array]


class Whole(NamedTuple):
    """What a rule takes of whole tensors before its steps.

    Sums are of ``terms(p, g, *slots, **coefficients)``, arrays in float64, which leaves the slots
    alone; over all tensors together where `of_all`, whose scalars are the same then.
    ``conclude(sums, size, scalars, **coefficients)`` writes the scalars and returns `derived`
    coefficients; ``begin(scalars, **coefficients)`` those that terms need, and
    ``finish(scalars, **coefficients)`` those that follow from the new scalars. All are in float64.
    `of_factors` is the rule where the first slot is kept by factors. In its own Whole,
    ``factors(**coefficients)`` says the share that their averages take, and the least mean of rows.
    """

    scalars: tuple[str, ...] = ()
    derived: tuple[str, ...] = ()
    terms: Callable[..., Sequence[Array]] | None = None
    begin: Callable[..., dict[str, Any]] | None = None
    conclude: Callable[..., dict[str, Any]] | None = None
    finish: Callable[..., dict[str, Any]] | None = None
    factors: Callable[..., tuple[Any, Any]] | None = None
    of_all: bool = False
    of_factors: Rule | None = None


NOTHING = Whole()


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
        whole: Whole,
    ) -> None:
        self.function = function
        self.slots = slots
        code = function.__code__
        names = code.co_varnames[code.co_argcount :][: code.co_kwonlyargcount]
        self.coefficients = tuple(name for name in names if name not in whole.derived)
        self.has_momentum = has_momentum
        self.sets_parameter = sets_parameter
        self.whole = whole

    @property
    def state(self) -> tuple[str, ...]:
        """The names of all that is kept of a parameter, element by element or as a whole."""
        return (*self.slots, *self.whole.scalars)

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


RULES: dict[str, Rule] = {}  # but those of factors


def rule(
    *slots: str, momentum: bool = False, sets_parameter: bool = False, whole: Whole = NOTHING
) -> Callable[[Function], Function]:
    """Register a function as the rule of its name, with these state slots."""

    def register(function: Function) -> Function:
        RULES[function.__name__] = Rule(function, slots, momentum, sets_parameter, whole)
        return function

    return register


def rule_of_factors(*slots: str, whole: Whole) -> Callable[[Function], Rule]:
    """Make a function the rule that another is where its first slot is kept by factors."""
    return lambda function: Rule(function, slots, False, False, whole)
