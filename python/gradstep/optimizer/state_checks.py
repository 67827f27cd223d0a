"""What a state dict must be to fit an optimizer."""

from __future__ import annotations

import operator
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.arrays.parameters import is_bfloat16
from gradstep.method.rows import Plan
from gradstep.method.slots import Slot
from gradstep.optimizer.layout import Layout
from gradstep.optimizer.storage import (
    BESIDE_PARAM,
    format_of_array,
    format_of_average,
    format_of_slot,
    legal_array,
    scale_of,
)
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
            read["state"] = {name: raw_arrays(part) for name, part in read["state"].items()}
        if "ema" in read:
            read["ema"] = raw_arrays(read["ema"])
        if isinstance(read.get("groups"), (list, tuple)):
            read["groups"] = [own_dict(group) for group in read["groups"]]
    return read


def raw_arrays(given: Any) -> Any:
    """Arrays by name in a dict of our own, those of bfloat16 as the bits that a state holds."""
    arrays = own_dict(given)
    if isinstance(arrays, dict):
        for key, array in arrays.items():
            if isinstance(array, np.ndarray) and is_bfloat16(array.dtype):
                arrays[key] = array.view(np.uint16)
    return arrays


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
        values.append(group.checked(changes))
    return values


def check_storage_kept(
    layout: Layout, values: list[dict[str, Any]], convert: bool
) -> list[dict[str, Any]]:
    """The same with what `layout` says of storage; an error where that differs and may not."""
    kept = []
    for i, (group, of_group) in enumerate(zip(layout.groups, values, strict=True)):
        for option in STORAGE:
            as_given = of_group[option] or "float32", group[option] or "float32"
            if as_given[0] != as_given[1] and not convert:
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
    counts = {}
    for group, plan in zip(layout.groups, plans, strict=True):
        for name in group.names:
            of_one, param = given[name], layout.params[name]
            kept = layout.method.state_slots(plan.rule, param.shape)
            check_entries_of(name, of_one, slots, kept, plan, complete, convert)
            counts[name] = check_count(f"state[{name!r}]['step']", of_one["step"])
            for key, array in of_one.items():
                if key != "step":
                    check_state_array(name, key, array, param, slots)
            for slot in set() if convert else of_one.keys() & set(kept):
                came = format_of_array(of_one[slot], slots[slot])
                part = layout.parts.get(name)
                expected = format_of_slot(slots[slot], param, plan.state_dtype, part)
                option = f"state_dtype={plan.state_dtype!r}"
                check_format(f"state[{name!r}][{slot!r}]", came, expected, option)
    return counts


def check_entries_of(
    name: str,
    of_one: Any,
    slots: Mapping[str, Slot],
    kept: Sequence[str],
    plan: Plan,
    complete: bool,
    convert: bool,
) -> None:
    """Raise an error where a parameter's state has not the entries that it should have.

    With `convert` what lay beside a parameter that was rounded in another way is left out of it.
    """
    what = f"state_dict['state'][{name!r}]"
    came = list(of_one) if isinstance(of_one, Mapping) else of_one
    beside = BESIDE_PARAM.get(plan.rounding)
    needed = ["step"]
    if complete:
        needed += kept
        needed += [beside] if beside and not convert else []
    if not isinstance(of_one, dict) or not set(needed) <= set(of_one):
        raise ValueError(f"{what} must hold {needed}; got {shown(came)}")
    scales = [scale_of(slot) for slot in slots if is_8bit(of_one.get(slot))]
    if not set(scales) <= set(of_one):
        raise ValueError(f"{what} must hold {scales}, too; got {shown(came)}")
    own = (name for name, slot in slots.items() if slot.kind != "workspace")
    legal = {"step", *own, *scales, *BESIDE_PARAM.values()}
    if other := [key for key in of_one if key not in legal]:
        raise ValueError(
            f"{what} holds {shown(other)}, which is no state of an optimizer with the rest of it; "
            f"got {shown(came)}"
        )
    for other in of_one.keys() & (set(BESIDE_PARAM.values()) - {beside}):
        if not convert:
            raise ValueError(
                f"{what} holds {other!r}, which this optimizer's rounding={plan.rounding!r} does "
                "not keep; load with convert=True to leave it out"
            )
        del of_one[other]


def is_8bit(array: Any) -> bool:
    return isinstance(array, np.ndarray) and array.dtype == np.uint8


def check_format(what: str, came: str | None, expected: str | None, option: str) -> None:
    """Raise an error where an array of the state is in another format than the expected one."""
    if came != expected:
        raise ValueError(
            f"{what} in state_dict is stored in {shown_format(came)}, but this optimizer's "
            f"{option} asks for {shown_format(expected)}; construct it with what was saved, or "
            "load with convert=True"
        )


def shown_format(format: str | None) -> str:
    return "its compute dtype" if format is None else "8 bits" if format[-1] == "8" else format


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
    if key in slots and slots[key].kind == "matrix" and np.shape(array) == (0, 0):
        shape = (0, 0)  # one that was too large
    check_array(f"state[{name!r}][{key!r}] in state_dict", array, shape, dtypes)


def check_average_format(name: str, array: Array, plan: Plan) -> None:
    """Raise an error where an average is in another format than this plan's."""
    expected = format_of_average(plan.ema_dtype)
    option = f"ema_dtype={plan.ema_dtype!r}"
    check_format(f"ema[{name!r}]", format_of_array(array, Slot()), expected, option)


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
