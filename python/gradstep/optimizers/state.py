"""An optimizer's state as arrays, and as the plain dict that checkpoints hold."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gradstep.optimizers.cohorts import regroup
from gradstep.params import address, memory_order
from gradstep.reference import RULES, rule_names

if TYPE_CHECKING:
    from gradstep.optimizers.base import Optimizer

Array = NDArray[Any]

FORMAT = 1
CACHE_LINE = 64
STAGGER = 5 * 1024  # bytes between the places of one parameter's arrays
STAGGER_FROM = 256 * 1024  # bytes


@cache
def slots_of(rule: str) -> tuple[str, ...]:
    return rule_names(RULES[rule])[1]


def allocate(param: Array, fill: float, place: int) -> Array:
    """A state array that goes with `param`, as the `place`-th beside it.

    Zeros are untouched pages, which the first step places near the threads that use them. Large
    arrays start at different distances from page borders: arrays of one size, allocated one after
    another, otherwise get in each other's way (docs/decisions/0005-state-placement.md). All start
    at their parameter's place within a cache line. Being views, they cannot be resized.
    """
    lead = (place + 1) * STAGGER if param.nbytes >= STAGGER_FROM else 0
    memory = np.zeros(param.nbytes + lead + CACHE_LINE, np.uint8)
    start = lead + (address(param) - address(memory) - lead) % CACHE_LINE
    array: Array = memory[start : start + param.nbytes].view(param.dtype)
    if fill != 0.0:
        array[...] = fill
    return array.reshape(param.shape, order=memory_order(param))


def to_dict(opt: Optimizer) -> dict[str, Any]:
    names = list(opt._params)
    counts = {names[i]: c.count for c in opt._cohorts for i in c.members}
    return {
        "format": FORMAT,
        "optimizer": type(opt).__name__,
        "steps": opt._steps,
        "groups": [
            {"params": list(group.names)}
            | {
                name: value
                for name, value in group.values_now.items()
                if not opt.hyperparameters[name].varies(value)
            }
            for group in opt._groups
        ],
        "state": {
            name: {"step": counts[name]}
            | {k: v.copy(order="K") for k, v in opt._state[name].items()}
            for name in names
        },
        "ema": {name: array.copy(order="K") for name, array in opt._ema.items()},
    }


def from_dict(opt: Optimizer, given: Mapping[str, Any]) -> None:
    """Check all of `given`, then take it over."""
    if not isinstance(given, Mapping):
        raise TypeError(f"state_dict must be a dict, got a {type(given).__name__}")
    for key in ("format", "optimizer", "steps", "groups", "state", "ema"):
        if key not in given:
            raise ValueError(f"state_dict has no entry {key!r}; is it one that gradstep made?")
    if given["format"] != FORMAT:
        raise ValueError(
            f"state_dict has format {given['format']!r}; this version reads format {FORMAT}"
        )
    if given["optimizer"] != type(opt).__name__:
        raise ValueError(
            f"state_dict is of {given['optimizer']!r}, but this is {type(opt).__name__!r}; "
            "load it into an optimizer of the same kind"
        )
    steps = check_count("steps", given["steps"])
    new_values = check_groups(opt, given["groups"])
    counts = check_state(opt, given["state"], new_values)
    averaged = [
        name
        for group, values in zip(opt._groups, new_values, strict=True)
        for name in group.names
        if values["ema_decay"] is not None
    ]
    check_names("ema", given["ema"], averaged)
    for name in averaged:
        check_array(f"ema[{name!r}]", given["ema"][name], opt._params[name])

    for group, values in zip(opt._groups, new_values, strict=True):
        group.update(values)
    for name, param in opt._params.items():
        for slot, array in given["state"][name].items():
            if slot != "step":
                take_over(opt._state[name], slot, param, array)
    for name in averaged:
        take_over(opt._ema, name, opt._params[name], given["ema"][name])
    opt._steps = steps
    position = {name: i for i, name in enumerate(opt._params)}
    opt._cohorts = regroup(
        (g, counts[name], position[name])
        for g, group in enumerate(opt._groups)
        for name in group.names
    )


def take_over(arrays: dict[str, Array], name: str, param: Array, values: Array) -> None:
    """Copy `values` into the live array of that name, so that references to it stay good."""
    if name not in arrays:
        arrays[name] = allocate(param, 0.0, len(arrays))
    arrays[name][...] = values


def check_groups(opt: Optimizer, given: Any) -> list[dict[str, Any]]:
    """Every group's hyperparameters as they will be; schedules stay where they are."""
    if not isinstance(given, (list, tuple)) or len(given) != len(opt._groups):
        raise ValueError(f"state_dict['groups'] must be a list of {len(opt._groups)} groups")
    values = []
    for i, (group, saved) in enumerate(zip(opt._groups, given, strict=True)):
        if not isinstance(saved, Mapping) or list(saved.get("params", ())) != list(group.names):
            raise ValueError(
                f"state_dict['groups'][{i}] must hold the parameters {list(group.names)}; "
                f"got {saved.get('params') if isinstance(saved, Mapping) else saved!r}"
            )
        current = group.values_now
        values.append(
            group.changed(
                {
                    name: tuple(value) if isinstance(value, list) else value
                    for name, value in saved.items()
                    if name != "params"
                    and not (name in current and opt.hyperparameters[name].varies(current[name]))
                }
            )
        )
    return values


def check_state(opt: Optimizer, given: Any, values: list[dict[str, Any]]) -> dict[str, int]:
    """The step count of every parameter."""
    check_names("state", given, list(opt._params))
    counts = {}
    for group, of_group in zip(opt._groups, values, strict=True):
        slots = slots_of(opt.rule(of_group))
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
                    check_array(f"state[{name!r}][{slot!r}]", array, opt._params[name])
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
