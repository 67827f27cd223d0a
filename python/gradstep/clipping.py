"""Norms and limits of gradients, for loops of one's own."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep import reference, runtime
from gradstep.schedules.base import check_finite
from gradstep.trees import as_floats, leaves, mapped

Array = NDArray[Any]


def global_norm(grads: Any) -> float:
    """The Euclidean norm of all gradients together, the same in every bit everywhere.

    Parameters
    ----------
    grads : array, list or dict of arrays, nested at will
        float16, float32 or float64, of any shape; None is left out.

    >>> import numpy as np, gradstep as gs
    >>> gs.global_norm({"W": np.array([3.0, 0.0]), "b": np.array([4.0])})
    5.0
    """
    arrays = [
        np.require(as_floats(name, leaf), None, ["C_CONTIGUOUS", "ALIGNED"])
        for name, leaf in leaves(grads)
    ]
    return math.sqrt(sum_of_squares(arrays))


def clip_grads(
    grads: Any,
    *,
    norm: float | None = None,
    tensor_norm: float | None = None,
    value: float | None = None,
    adaptive: float | None = None,
    params: Any = None,
    eps: float = 1e-3,
) -> tuple[Any, float]:
    """Limited copies of gradients, in the same structure, and their norm before.

    The limits are applied in this order; an optimizer's own ``clip_norm`` and ``clip_value`` do it
    within the step, without copies.

    Parameters
    ----------
    grads : array, list or dict of arrays, nested at will
        Never written; None stays None.
    adaptive : float > 0 or None
        Adaptive clipping (AGC): the gradient of each unit is scaled down to `adaptive` times the
        norm of the unit's parameters, or times `eps` where that is larger. A unit is a slice along
        the last axis: a column of a ``(fan_in, fan_out)`` weight. Needs `params`. Brock et al.
        2021, arXiv:2102.06171.
    tensor_norm : float > 0 or None
        Scale each gradient down to this norm.
    norm : float > 0 or None
        Scale all gradients down to this norm together.
    value : float > 0 or None
        Limit each element to ±value.

    Returns
    -------
    (gradients, float)

    >>> import numpy as np, gradstep as gs
    >>> clipped, norm = gs.clip_grads([np.array([3.0]), np.array([4.0])], norm=1.0)
    >>> [g.round(4) for g in clipped], norm
    ([array([0.6]), array([0.8])], 5.0)
    """
    limits = {"norm": norm, "tensor_norm": tensor_norm, "value": value, "adaptive": adaptive}
    for name, limit in limits.items():
        if limit is not None:
            check_finite(name, limit, 0.0, above_low=True)
    check_finite("eps", eps, 0.0)
    before = global_norm(grads)
    arrays = clipped = mapped(grads, np.asarray)
    if adaptive is not None:
        if params is None:
            raise TypeError("adaptive needs params, in the structure of grads")
        clipped = mapped(clipped, lambda g, p: limited_units(g, p, adaptive, eps), params)
    if tensor_norm is not None:
        clipped = mapped(clipped, lambda g: g * factor(global_norm(g), tensor_norm))
    if norm is not None:
        scale = factor(before if clipped is arrays else global_norm(clipped), norm)
        clipped = mapped(clipped, lambda g: g * scale)
    if value is not None:
        clipped = mapped(clipped, lambda g: np.clip(g, -value, value))
    return (mapped(arrays, np.copy) if clipped is arrays else clipped), before


def factor(norm: float, limit: float) -> float:
    """What brings `norm` down to `limit`; 1 where it is below already."""
    return min(1.0, limit / (norm + 1e-6))


def limited_units(grad: Array, param: Array, limit: float, eps: float) -> Array:
    if grad.shape != param.shape:
        raise ValueError(f"params must have the shapes of grads, got {param.shape}, {grad.shape}")
    axes = tuple(range(grad.ndim - 1)) if grad.ndim > 1 else None
    largest = limit * np.maximum(unit_norms(param, axes), eps)
    norms = np.maximum(unit_norms(grad, axes), 1e-6)
    return np.asarray(grad * np.minimum(1.0, largest / norms), grad.dtype)


def unit_norms(array: Array, axes: tuple[int, ...] | None) -> Array:
    squares = np.square(array, dtype=np.float64)
    return np.asarray(np.sqrt(squares.sum(axis=axes, keepdims=True)))


def sum_of_squares(arrays: list[Array]) -> float:
    if runtime.backend() == "native":
        from gradstep import _native

        return _native.sum_of_squares(arrays)
    return reference.sum_of_squares(arrays)
