"""What a closure returns, checked."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.arrays.gradients import turned
from gradstep.arrays.memory import memory_order
from gradstep.arrays.structure import Align
from gradstep.arrays.trees import as_floats
from gradstep.values import is_number, reads_as_float, shown

Array = NDArray[Any]
Closure = Callable[[], tuple[Any, Any]]

EXPECTED = "closure must return (loss, grads), grads in the structure of the parameters"


def check_callable(name: str, value: Any, what: str) -> Any:
    if not callable(value):
        raise TypeError(f"{name} must be a function {what}, got a {type(value).__name__}")
    return value


def returned_by(closure: Closure) -> tuple[float, Any]:
    """The loss as a number, and the gradients as they are."""
    returned = closure()
    if not isinstance(returned, (tuple, list)) or len(returned) != 2:
        raise TypeError(f"{EXPECTED}; it returned {described(returned)}")
    return loss_of(returned[0]), returned[1]


def evaluated(closure: Closure, align: Align) -> tuple[float, Sequence[Any]]:
    """The loss, and the gradients as one flat list."""
    loss, grads = returned_by(closure)
    try:
        return loss, align(grads)
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{EXPECTED}; of what it returned {error}") from error


def described(returned: Any) -> str:
    if returned is None:
        return "None"
    kind = type(returned).__name__
    return f"a {kind} of {len(returned)}" if isinstance(returned, (tuple, list)) else f"a {kind}"


def loss_of(value: Any) -> float:
    if getattr(value, "shape", ()) == () and (is_number(value) or reads_as_float(value)):
        return float(value)
    hint = ""
    if getattr(value, "size", None) == 1:
        hint = "; return its element: loss.item()"
    elif isinstance(value, np.ndarray):
        hint = "; return the sum or mean of its elements"
    came = f"an array of shape {value.shape}" if isinstance(value, np.ndarray) else shown(value)
    raise TypeError(f"the loss that closure returns must be a number, got {came}{hint}")


def check_present(absent: Sequence[str], before: Sequence[str]) -> None:
    """Raise a ValueError where other parameters have no gradient than in the evaluations before."""
    if (new := sorted(set(absent) - set(before))) or set(before) - set(absent):
        what = (
            f"no gradient (None) for {new}, which had one in the evaluations before"
            if new
            else f"a gradient for {sorted(set(before) - set(absent))}, which had none (None) before"
        )
        raise ValueError(
            f"closure returned {what}; what L-BFGS knows of curvature is made of differences of "
            "gradients. Return zeros where a gradient vanishes, and make a new optimizer where "
            "other parameters are trained."
        )


def like_param(name: str, leaf: Any, param: Array) -> Array:
    """A gradient in its parameter's dtype and memory order; an error where it is none of it."""
    array = as_floats(name, leaf)
    if array.shape != param.shape:
        raise ValueError(
            f"gradient {name!r} has shape {array.shape}; expected {param.shape}, the shape of its "
            f"parameter.{turned(array.shape, param.shape)}"
        )
    return np.require(array, param.dtype, [memory_order(param), "ALIGNED"])


def usable(loss: float, absolute: float) -> bool:
    """Whether a step can go by this loss and a gradient with this sum of absolute values.

    It can by +∞, too: such a point is too far, whatever its gradient.
    """
    return loss == math.inf or (math.isfinite(loss) and math.isfinite(absolute))
