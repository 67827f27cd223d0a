"""The state of L-BFGS as the plain dict that checkpoints hold, and back."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.arrays.at_once import Change
from gradstep.closures.iterations import Memory, Pair
from gradstep.closures.options import declared
from gradstep.closures.space import Slots, Space
from gradstep.values import check_count, check_entries, check_finite, shown

Array = NDArray[Any]
Vector = dict[str, Array]

ENTRIES = (
    "optimizer", "steps", "iterations", "evaluations", "options", "history", "scale", "t",
    "direction", "gradient", "absent",
)  # fmt: skip


def to_dict(opt: Any) -> dict[str, Any]:
    """The caller has the turn."""
    memory, space = opt._memory, opt._space

    def copied(vector: int | None) -> Vector | None:
        if vector is None:
            return None
        return {name: part.copy(order="K") for name, part in space.parts(vector).items()}

    return {
        "optimizer": type(opt).__name__,
        "steps": memory.steps,
        "iterations": memory.iterations,
        "evaluations": memory.evaluations,
        "options": {n: value for n, value in opt._options.items() if not callable(value)},
        "history": [
            {"step": copied(pair.s), "change": copied(pair.y), "rho": pair.rho}
            for pair in memory.pairs
        ],
        "scale": memory.scale,
        "t": memory.t,
        "direction": copied(memory.d),
        "gradient": copied(memory.gradient),
        "absent": None if memory.absent is None else list(memory.absent),
    }


def load(opt: Any, state_dict: Any) -> None:
    """An error where it does not fit; nothing is changed then."""
    checked(opt, state_dict)()


def checked(opt: Any, state_dict: Any, hyperparameters: bool = True) -> Change:
    """The change that takes a state over, whose vectors are written aside.

    Without `hyperparameters` the options stay.
    """
    given, space = check_entries(state_dict, *ENTRIES), opt._space
    kind = type(opt).__name__
    if given["optimizer"] != kind:
        raise ValueError(f"state_dict is of {shown(given['optimizer'])}; this optimizer is {kind}")
    counts = {n: check_count(n, given[n], 0) for n in ("steps", "iterations", "evaluations")}
    options = check_options(opt, given["options"])
    options = {**opt._options, **(options if hyperparameters else {})}
    begun = counts["iterations"] > 0
    ends = [check_vector(space, n, given[n], begun) for n in ("direction", "gradient")]
    history = check_history(space, given["history"])
    numbers = {n: check_finite(f"{n} in state_dict", given[n]) for n in ("scale", "t")}
    absent = check_absent(space, given["absent"])
    # Nobody else's code runs from here on.
    space.begin()
    slots = Slots(space, opt._memory.vectors())

    def written(vector: Vector) -> int:
        number = slots.take()
        for name, part in space.parts(number).items():
            part[...] = vector[name]
        return number

    pairs = tuple(Pair(written(s), written(y), rho) for s, y, rho in history)
    d, gradient = (None if vector is None else written(vector) for vector in ends)
    memory = Memory(**counts, pairs=pairs, d=d, gradient=gradient, absent=absent, **numbers)  # type: ignore[arg-type]
    return partial(vars(opt).update, _memory=memory, _options=options)


def check_options(opt: Any, given: Any) -> dict[str, Any]:
    known = declared(type(opt))
    if not isinstance(given, Mapping) or not given.keys() <= known.keys():
        raise ValueError(
            f"options in state_dict must be a dict of {list(known)}, got {shown(given)}"
        )
    live = {name for name, value in opt._options.items() if callable(value)}
    return {n: known[n].check(value) for n, value in given.items() if n not in live}


def check_history(space: Space, given: Any) -> list[tuple[Vector, Vector, float]]:
    if not isinstance(given, (list, tuple)):
        raise TypeError(f"history in state_dict must be a list of pairs, got {shown(given)}")
    pairs = []
    for i, pair in enumerate(given):
        where = f"history[{i}] in state_dict"
        if not isinstance(pair, Mapping) or pair.keys() != {"step", "change", "rho"}:
            raise ValueError(f"{where} must be a dict of step, change and rho, got {shown(pair)}")
        step = check_vector(space, f"{where}: step", pair["step"], True)
        change = check_vector(space, f"{where}: change", pair["change"], True)
        assert step is not None
        assert change is not None
        pairs.append((step, change, check_finite(f"{where}: rho", pair["rho"], 0.0)))
    return pairs


def check_vector(space: Space, what: str, given: Any, wanted: bool) -> Vector | None:
    """Copies of the arrays like all parameters."""
    if given is None and not wanted:
        return None
    if not isinstance(given, Mapping) or given.keys() != space.params.keys():
        raise ValueError(
            f"{what} must be a dict of arrays for {list(space.params)}, got "
            f"{shown(list(given)) if isinstance(given, Mapping) else shown(given)}"
        )
    vector = {}
    for name, param in space.params.items():
        array = given[name]
        form = (param.shape, param.dtype)
        if not isinstance(array, np.ndarray) or (array.shape, array.dtype) != form:
            raise ValueError(
                f"{what}: expected an array of shape {param.shape} and dtype {param.dtype} for "
                f"{name!r}, got {described(array)}"
            )
        vector[name] = array.copy()
    return vector


def described(array: Any) -> str:
    if isinstance(array, np.ndarray):
        return f"one of shape {array.shape} and dtype {array.dtype}"
    return shown(array)


def check_absent(space: Space, given: Any) -> tuple[str, ...] | None:
    if given is None:
        return None
    if not isinstance(given, (list, tuple)) or not set(given) <= space.params.keys():
        raise ValueError(f"absent in state_dict must be a list of parameters, got {shown(given)}")
    return tuple(name for name in space.params if name in given)
