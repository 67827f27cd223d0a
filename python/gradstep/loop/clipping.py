"""Norms and limits of gradients, for loops of one's own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep import reference, runtime
from gradstep.arrays.parameters import is_bfloat16
from gradstep.arrays.trees import as_floats, as_readable, flatten, rebuilt, same_structure
from gradstep.values import check_axis, check_finite

Array = NDArray[Any]


def global_norm(grads: Any) -> float:
    """The Euclidean norm of all gradients together, the same in every bit everywhere.

    Parameters
    ----------
    grads : array, or list, tuple or dict of arrays, nested at will
        float16, bfloat16, float32 or float64, of any shape; None is left out.

    Examples
    --------
    >>> import numpy as np, gradstep as gs
    >>> gs.global_norm({"W": np.array([3.0, 0.0]), "b": np.array([4.0])})
    5.0
    """
    return norm_of(flatten(grads)[1])


def clip_grads(
    grads: Any,
    *,
    norm: float | None = None,
    tensor_norm: float | None = None,
    value: float | None = None,
    adaptive: float | None = None,
    params: Any = None,
    eps: float = 1e-3,
    axis: int = -1,
) -> tuple[Any, float]:
    """Limited copies of gradients, in the same structure, and their norm before.

    The limits are applied in this order; an optimizer's own ``clip_norm`` and ``clip_value`` do it
    within the step, without copies.

    Parameters
    ----------
    grads : array, or list, tuple or dict of arrays, nested at will
        Never written; None stays None.
    adaptive : float > 0 or None
        Adaptive clipping (AGC): the gradient of each unit is scaled down to `adaptive` times the
        norm of the unit's parameters, or times `eps` where that is larger. A unit is a slice along
        `axis`: the last for ``(fan_in, fan_out)`` weights, the first, 0, for ``(fan_out, fan_in)``.
        Needs `params`. Brock et al. 2021, arXiv:2102.06171.
    tensor_norm : float > 0 or None
        Scale each gradient down to this norm.
    norm : float > 0 or None
        Scale all gradients down to this norm together.
    value : float > 0 or None
        Limit each element to ±value.
    params : array, or list, tuple or dict of arrays
        For `adaptive`: the parameters, in the structure and shapes of `grads`.

    Returns
    -------
    (gradients, float)

    Examples
    --------
    >>> import numpy as np, gradstep as gs
    >>> clipped, norm = gs.clip_grads([np.array([3.0]), np.array([4.0])], norm=1.0)
    >>> [g.round(4) for g in clipped], norm
    ([array([0.6]), array([0.8])], 5.0)
    """
    norm, tensor_norm = check_limit("norm", norm), check_limit("tensor_norm", tensor_norm)
    value, adaptive = check_limit("value", value), check_limit("adaptive", adaptive)
    eps, axis = check_finite("eps", eps, 0.0), check_axis("axis", axis)
    structure, leaves = flatten(grads)
    arrays = {name: as_readable(name, leaf) for name, leaf in leaves.items()}
    before = norm_of(arrays)
    clipped = {n: np.array(as_floats(n, array), order="K") for n, array in arrays.items()}
    with np.errstate(all="ignore"):
        if adaptive is not None:
            for name, param in matching_params(params, structure, clipped).items():
                clipped[name] *= unit_factors(clipped[name], param, adaptive, eps, axis)
        if tensor_norm is not None:
            for name, grad in clipped.items():
                grad *= factor(norm_of({name: grad}), tensor_norm)
        if norm is not None:
            limited = adaptive is not None or tensor_norm is not None
            scale = factor(norm_of(clipped) if limited else before, norm)
            for grad in clipped.values():
                grad *= scale
        if value is not None:
            for grad in clipped.values():
                np.clip(grad, -value, value, out=grad)
        rounded = {n: grad.astype(arrays[n].dtype, copy=False) for n, grad in clipped.items()}
    return rebuilt(structure, rounded), before


def check_limit(name: str, limit: float | None) -> float | None:
    return None if limit is None else check_finite(name, limit, 0.0, above_low=True)


def matching_params(params: Any, structure: Any, grads: Mapping[str, Array]) -> dict[str, Array]:
    """The parameter of each gradient."""
    if params is None:
        raise TypeError("adaptive needs params, in the structure of grads")
    came, leaves = flatten(params)
    if not same_structure(came, structure):
        raise ValueError(
            f"params must have the structure of grads, {structure!r}; got {came!r}. "
            "Give None in grads for a parameter that has no gradient."
        )
    arrays = {name: np.asarray(leaves.get(name)) for name in grads}
    half = [name for name, array in arrays.items() if is_bfloat16(array.dtype)]
    arrays |= {name: arrays[name].astype(np.float32) for name in half}
    for name, grad in grads.items():
        param = arrays[name]
        if param.shape != grad.shape or param.dtype.kind not in "fiu":
            raise ValueError(
                f"params must have the shapes of grads: expected an array of shape {grad.shape} "
                f"for {name!r}, got one of shape {param.shape} and dtype {param.dtype}"
            )
    return arrays


def factor(norm: float, limit: float) -> float:
    """What brings `norm` down to `limit`; 1 where it is below already."""
    return min(1.0, limit / (norm + 1e-6))


def unit_factors(grad: Array, param: Array, limit: float, eps: float, axis: int) -> Array:
    others = range(1, grad.ndim) if axis == 0 else range(grad.ndim - 1)
    axes = tuple(others) if grad.ndim > 1 else None
    largest = limit * np.maximum(unit_norms(param, axes), eps)
    norms = np.maximum(unit_norms(grad, axes), 1e-6)
    return np.asarray(np.minimum(1.0, largest / norms))


def norm_of(leaves: Mapping[str, Any]) -> float:
    arrays = [
        np.require(as_floats(name, leaf), None, ["C_CONTIGUOUS", "ALIGNED"])
        for name, leaf in leaves.items()
    ]
    with np.errstate(all="ignore"):
        return math.sqrt(sum_of_squares(arrays))


def unit_norms(array: Array, axes: tuple[int, ...] | None) -> Array:
    squares = np.square(array, dtype=np.float64)
    return np.asarray(np.sqrt(squares.sum(axis=axes, keepdims=True)))


def sum_of_squares(arrays: list[Array]) -> float:
    if runtime.backend() == "native":
        from gradstep import _native

        return _native.sum_of_squares(arrays)
    return reference.sum_of_squares(arrays)
