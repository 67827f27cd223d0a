"""What closures return, checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from gradstep.values import metric_of, shown

Closure = Callable[[], tuple[Any, Any]]


class Evaluated(NamedTuple):
    loss: float
    grads: Any


def check_closure(kind: str, closure: Any) -> None:
    if not callable(closure):
        raise TypeError(
            f"closure must be a function that returns (loss, grads), got {shown(closure)}; "
            f"{kind} evaluates it twice, the second time at other parameters"
        )


def evaluated(closure: Closure) -> Evaluated:
    """What it returns, as a number and gradients that are still to be lined up."""
    result = closure()
    if not isinstance(result, (tuple, list)) or len(result) != 2:
        raise TypeError(
            "closure must return a tuple (loss, grads), the gradients in the structure of the "
            f"parameters; got {shown(result)}"
        )
    try:
        return Evaluated(metric_of(result[0]), result[1])
    except TypeError:
        raise TypeError(
            f"closure must return (loss, grads) with a number as loss, got {shown(result[0])}"
        ) from None
