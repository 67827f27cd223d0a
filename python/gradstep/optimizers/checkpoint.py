"""An optimizer's state as the plain dict that checkpoints hold, and back."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gradstep.optimizers.cohorts import regroup
from gradstep.optimizers.rows import Plan
from gradstep.optimizers.state import allocate
from gradstep.reference import RULES

if TYPE_CHECKING:
    from gradstep.optimizers.layout import Layout

Array = NDArray[Any]

FORMAT = 1


def to_dict(layout: Layout) -> dict[str, Any]:
    names = list(layout.params)
    counts = {names[i]: cohort.count for cohort in layout.cohorts for i in cohort.members}
    return {
        "format": FORMAT,
        "groups": [{"params": list(group.names)} | group.numbers() for group in layout.groups],
        "state": {name: {"step": counts[name]} | copies(layout.state[name]) for name in names},
        "ema": copies(layout.ema),
    }


def copies(arrays: Mapping[str, Array]) -> dict[str, Array]:
    return {name: array.copy(order="K") for name, array in arrays.items()}


def check_header(given: Mapping[str, Any], kind: str) -> int:
    """The number of completed steps of a state of the optimizer `kind`."""
    if not isinstance(given, Mapping):
        raise TypeError(f"state_dict must be a dict, got a {type(given).__name__}")
    for key in ("format", "optimizer", "steps", "groups", "state", "ema"):
        if key not in given:
            raise ValueError(f"state_dict has no entry {key!r}; is it one that gradstep made?")
    if given["format"] != FORMAT:
        raise ValueError(
            f"state_dict has format {given['format']!r}; this version reads format {FORMAT}"
        )
    if given["optimizer"] != kind:
        raise ValueError(
            f"state_dict is of {given['optimizer']!r}, but this is {kind!r}; "
            "load it into an optimizer of the same kind"
        )
    return check_count("steps", given["steps"])


def from_dict(layout: Layout, given: Mapping[str, Any]) -> None:
    """Check all of `given`, then take it over; the layout has to be prepared again."""
    values = check_groups(layout, given["groups"])
    plans = [group.plan_of(of_group) for group, of_group in zip(layout.groups, values, strict=True)]
    counts = check_state(layout, given["state"], plans)
    averaged = [
        name
        for group, plan in zip(layout.groups, plans, strict=True)
        for name in group.names
        if plan.averages
    ]
    check_names("ema", given["ema"], averaged)
    for name in averaged:
        check_array(f"ema[{name!r}]", given["ema"][name], layout.params[name])

    for group, of_group in zip(layout.groups, values, strict=True):
        group.update(of_group)
    for name, param in layout.params.items():
        for slot, array in given["state"][name].items():
            if slot != "step":
                take_over(layout.state[name], slot, param, array)
    for name in averaged:
        take_over(layout.ema, name, layout.params[name], given["ema"][name])
    layout.cohorts = regroup(layout.groups, counts)


def take_over(arrays: dict[str, Array], name: str, param: Array, values: Array) -> None:
    """Copy `values` into the live array of that name, so that references to it stay good."""
    if name not in arrays:
        arrays[name] = allocate(param, 0.0, len(arrays))
    arrays[name][...] = values


def check_groups(layout: Layout, given: Any) -> list[dict[str, Any]]:
    """Every group's hyperparameters as they will be; schedules stay where they are."""
    if not isinstance(given, (list, tuple)) or len(given) != len(layout.groups):
        raise ValueError(f"state_dict['groups'] must be a list of {len(layout.groups)} groups")
    values = []
    for i, (group, saved) in enumerate(zip(layout.groups, given, strict=True)):
        if not isinstance(saved, Mapping) or list(saved.get("params", ())) != list(group.names):
            raise ValueError(
                f"state_dict['groups'][{i}] must hold the parameters {list(group.names)}; "
                f"got {saved.get('params') if isinstance(saved, Mapping) else saved!r}"
            )
        kept = set(group) - set(group.numbers())
        changes = {name: value for name, value in saved.items() if name not in kept}
        values.append(group.changed(changes))
    return values


def check_state(layout: Layout, given: Any, plans: list[Plan]) -> dict[str, int]:
    """The step count of every parameter."""
    check_names("state", given, list(layout.params))
    counts = {}
    for group, plan in zip(layout.groups, plans, strict=True):
        slots = RULES[plan.rule].slots
        for name in group.names:
            of_one = given[name]
            if not isinstance(of_one, Mapping) or not {"step", *slots} <= set(of_one):
                came = list(of_one) if isinstance(of_one, Mapping) else of_one
                raise ValueError(
                    f"state_dict['state'][{name!r}] must hold {['step', *slots]}; got {came!r}"
                )
            counts[name] = check_count(f"state[{name!r}]['step']", of_one["step"])
            for slot, array in of_one.items():
                if slot != "step":
                    check_array(f"state[{name!r}][{slot!r}]", array, layout.params[name])
    return counts


def check_names(what: str, given: Any, expected: list[str]) -> None:
    if not isinstance(given, Mapping) or set(given) != set(expected):
        came = list(given) if isinstance(given, Mapping) else given
        raise ValueError(
            f"state_dict[{what!r}] must hold exactly the parameters {expected}; got {came!r}"
        )


def check_count(what: str, value: Any) -> int:
    try:
        count = operator.index(value)
    except TypeError:
        raise TypeError(f"{what} in state_dict must be an integer, got {value!r}") from None
    if count < 0:
        raise ValueError(f"{what} in state_dict must be ≥ 0, got {count}")
    return count


def check_array(what: str, array: Any, param: Array) -> None:
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{what} in state_dict must be an ndarray, got a {type(array).__name__}")
    if array.shape != param.shape or array.dtype != param.dtype:
        raise ValueError(
            f"{what} in state_dict has shape {array.shape} and dtype {array.dtype}; "
            f"expected {param.shape} and {param.dtype}, as its parameter has"
        )
