"""What a state dict must be to fit an optimizer."""

from __future__ import annotations

import operator
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.method.rows import Plan
from gradstep.method.slots import Slot
from gradstep.optimizer.layout import Layout
from gradstep.optimizer.storage import (
    BESIDE_PARAM,
    format_of_array,
    format_of_slot,
    legal_array,
    scale_of,
)
from gradstep.reference import RULES
from gradstep.values import is_number, own_dict, reading, shown

Array = NDArray[Any]

FORMAT = 1
COUNT_LIMIT = 2**53  # below it, float64 holds every count
STORAGE = ("rounding", "state_dtype", "ema_dtype")


def own_state(given: Any) -> Any:
    """An optimizer's state in dicts of our own, where it is made of mappings."""
    with reading("state_dict"):
        read = own_dict(given)
        if not isinstance(read, dict):
            return read
        read = {key: own_dict(part) for key, part in read.items()}
        if isinstance(read.get("state"), dict):
            read["state"] = {name: own_dict(part) for name, part in read["state"].items()}
        if isinstance(read.get("groups"), (list, tuple)):
            read["groups"] = [own_dict(group) for group in read["groups"]]
    return read


def check_header(given: Mapping[str, Any], kind: str) -> int:
    """The number of completed steps of a state of the optimizer `kind`."""
    if not isinstance(given, Mapping):
        raise TypeError(f"state_dict must be a dict, got a {type(given).__name__}")
    if {"state", "param_groups"} <= given.keys():
        raise ValueError(
            "state_dict is one of torch.optim's; load it with "
            "gradstep.load_torch_state_dict(opt, state_dict)"
        )
    for key in ("format", "optimizer", "steps", "groups", "state", "ema"):
        if key not in given:
            raise ValueError(f"state_dict has no entry {key!r}; is it one that gradstep made?")
    if not is_number(given["format"]) or given["format"] != FORMAT:
        raise ValueError(
            f"state_dict has format {shown(given['format'])}; this version reads format {FORMAT}"
        )
    if not isinstance(given["optimizer"], str) or given["optimizer"] != kind:
        raise ValueError(
            f"state_dict is of {shown(given['optimizer'])}, but this is {kind!r}; "
            "load it into an optimizer of the same kind"
        )
    return check_count("steps", given["steps"])


def check_groups(layout: Layout, given: Any) -> list[dict[str, Any]]:
    """Every group's hyperparameters as they will be; schedules stay where they are."""
    if not isinstance(given, (list, tuple)) or len(given) != len(layout.groups):
        raise ValueError(f"state_dict['groups'] must be a list of {len(layout.groups)} groups")
    values = []
    for i, (group, saved) in enumerate(zip(layout.groups, given, strict=True)):
        came = saved.get("params") if isinstance(saved, Mapping) else saved
        names = list(came) if isinstance(came, (list, tuple)) else [came]
        if not all(isinstance(name, str) for name in names) or names != list(group.names):
            raise ValueError(
                f"state_dict['groups'][{i}] must hold the parameters {list(group.names)}; "
                f"got {shown(came)}"
            )
        if unknown := set(saved) - set(group):
            raise ValueError(
                f"state_dict['groups'][{i}] has hyperparameters that this optimizer has not: "
                f"{sorted(map(str, unknown))}"
            )
        kept = set(group) - set(group.numbers())
        changes = {name: value for name, value in saved.items() if name not in kept}
        values.append(group.changed(changes))
    return values


def check_storage_kept(
    layout: Layout, values: list[dict[str, Any]], convert: bool
) -> list[dict[str, Any]]:
    """The same with what `layout` says of storage; an error where that differs and may not."""
    kept = []
    for i, (group, of_group) in enumerate(zip(layout.groups, values, strict=True)):
        for option in STORAGE:
            if of_group[option] != group[option] and not convert:
                raise ValueError(
                    f"state_dict has {option}={of_group[option]!r} in groups[{i}], and this "
                    f"optimizer {option}={group[option]!r}; construct it with the former, or load "
                    "with convert=True to keep the latter"
                )
        kept.append(of_group | {option: group[option] for option in STORAGE})
    return kept


def check_state(
    layout: Layout, given: Any, plans: list[Plan], complete: bool, convert: bool
) -> dict[str, int]:
    """The step count of every parameter."""
    check_names("state", given, list(layout.params))
    slots = layout.method.slots
    legal = {"step", *slots, *map(scale_of, slots), *BESIDE_PARAM.values()}
    counts = {}
    for group, plan in zip(layout.groups, plans, strict=True):
        wanted = RULES[plan.rule].slots
        needed = wanted if complete else ()
        for name in group.names:
            of_one = given[name]
            came = list(of_one) if isinstance(of_one, Mapping) else of_one
            if not isinstance(of_one, Mapping) or not {"step", *needed} <= set(of_one):
                raise ValueError(
                    f"state_dict['state'][{name!r}] must hold {['step', *needed]}; "
                    f"got {shown(came)}"
                )
            if not set(of_one) <= legal:
                raise ValueError(
                    f"state_dict['state'][{name!r}] holds what is no state of an optimizer; "
                    f"got {shown(came)}"
                )
            counts[name] = check_count(f"state[{name!r}]['step']", of_one["step"])
            param = layout.params[name]
            for key, array in of_one.items():
                if key != "step":
                    check_state_array(name, key, array, param, slots)
                if key in slots and array.dtype == np.uint8 and scale_of(key) not in of_one:
                    raise ValueError(f"state_dict['state'][{name!r}] lacks {scale_of(key)!r}")
                if key in wanted and not convert:
                    check_format(
                        name, key, array, format_of_slot(slots[key], param, plan.state_dtype)
                    )
    return counts


def check_format(name: str, slot: str, array: Array, format: str | None) -> None:
    """Raise an error where an array of the state is in another format than this."""
    came = format_of_array(array, Slot(values="squares" if format == "squares8" else "signed"))
    if came != format:
        raise ValueError(
            f"state[{name!r}][{slot!r}] in state_dict is of {array.dtype}, which is not what this "
            "optimizer's state_dtype says; load with convert=True"
        )


def check_names(what: str, given: Any, expected: list[str]) -> None:
    if not isinstance(given, Mapping) or set(given) != set(expected):
        came = list(given) if isinstance(given, Mapping) else given
        raise ValueError(
            f"state_dict[{what!r}] must hold exactly the parameters {expected}; got {shown(came)}"
        )


def check_count(what: str, value: Any) -> int:
    try:
        count = operator.index(value)
    except TypeError:
        raise TypeError(f"{what} in state_dict must be an integer, got {shown(value)}") from None
    if isinstance(value, bool):
        raise TypeError(f"{what} in state_dict must be an integer, got {shown(value)}")
    if count < 0:
        raise ValueError(f"{what} in state_dict must be ≥ 0, got {count}")
    if count >= COUNT_LIMIT:
        raise ValueError(f"{what} in state_dict must be < 2**53, got {count}")
    return count


def check_state_array(
    name: str, key: str, array: Any, param: Array, slots: Mapping[str, Slot]
) -> None:
    shape, dtypes = legal_array(param, key, slots)
    check_array(f"state[{name!r}][{key!r}] in state_dict", array, shape, dtypes)


def check_average(name: str, array: Any, param: Array) -> None:
    shape, dtypes = legal_array(param, "ema", {"ema": Slot()})
    check_array(f"ema[{name!r}] in state_dict", array, shape, dtypes[:-1] or dtypes)


def check_array(what: str, array: Any, shape: tuple[int, ...], dtypes: Collection[str]) -> None:
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{what} must be an ndarray, got a {type(array).__name__}")
    if array.shape != shape or array.dtype.name not in dtypes or not array.dtype.isnative:
        raise ValueError(
            f"{what} has shape {array.shape} and dtype {array.dtype}; "
            f"expected {shape} and {' or '.join(dict.fromkeys(dtypes))}, as its parameter asks for"
        )
