"""A step through a parameter table made for it: on the NumPy backend, and of arrays that cannot be
taken as they are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep import runtime
from gradstep.arrays.gradients import GradientReader, plain
from gradstep.arrays.parameters import check_disjoint, check_param, check_writeable, look
from gradstep.loop.clipping import global_norm
from gradstep.thinc.recipe import Recipe, Row

Array = NDArray[Any]


def step_by_table(
    recipe: Recipe,
    row: Row,
    key: tuple[int, str],
    weights: Array,
    gradient: Any,
    state: Mapping[str, Array],
) -> None:
    """One step of these weights, with their state by what Thinc calls it.

    Raises
    ------
    TypeError, ValueError
        If an array is not legal. Nothing has been changed then.
    """
    name = repr(key)
    param = check_param(name, weights)
    if param.dtype not in (np.float32, np.float64):
        raise TypeError(
            f"weights {name} are {param.dtype}; expected float32 or float64: convert them once, "
            "model.set_param(name, weights.astype(numpy.float32))"
        )
    beside = {what: lined_up(f"{what}[{name}]", array, param) for what, array in state.items()}
    check_disjoint({name: param, **{f"{what}[{name}]": array for what, array in beside.items()}})
    reader = GradientReader({name: param}, {name: look(param)}, [beside])
    readable = reader(0, gradient)
    check_writeable(f"gradient {name!r}, which is set to zero,", gradient)
    average = beside.pop("averages", None)
    slots = [list(beside.values())]
    table = runtime.table_type([param], slots, [[]], [average], [None], [0], reader)
    table.assign([(recipe.rule, False, False)], [0])
    if recipe.penalty:
        readable = readable + param.dtype.type(recipe.penalty) * param
    scale = 1.0
    if math.isfinite(recipe.clip_norm) and (norm := global_norm(readable)) >= recipe.clip_norm:
        scale = recipe.clip_norm / norm
    table.step([readable], [row], scale, False, False)


def lined_up(what: str, array: Any, param: Array) -> Array:
    """An array of the state, on the same memory, in its parameter's shape."""
    fits = isinstance(array, np.ndarray) and array.flags.c_contiguous
    if not fits or array.size != param.size or array.dtype != param.dtype:
        shown = f"{array.dtype} of shape {array.shape}" if fits else f"a {type(array).__name__}"
        raise ValueError(
            f"{what} must be a contiguous array of {param.size} elements of {param.dtype}, as the "
            f"weights, got {shown}; weights of another size need another key, or no state: "
            f"del opt.{what}"
        )
    check_writeable(what, array)
    return plain(array).reshape(param.shape)
