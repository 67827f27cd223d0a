"""The registry: every rule by its name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from gradstep.reference import adam, sgd

Rule = Callable[..., NDArray[Any]]

RULES: dict[str, Rule] = {
    rule.__name__: rule
    for rule in (
        sgd.sgd,
        sgd.sgd_momentum,
        sgd.sgd_nesterov,
        sgd.sgd_velocity,
        sgd.sgd_velocity_nesterov,
        adam.adam,
        adam.adam_amsgrad,
    )
}


def rule_names(rule: Rule) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """A rule's coefficients (its keyword-only parameters) and state slots (those after p and g)."""
    parameters = inspect.signature(rule).parameters.values()
    coefficients = tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)
    positional = tuple(p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD)
    return coefficients, positional[2:]
