"""An optimizer's state as the plain dict that checkpoints hold, and back."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.arrays.at_once import Change, at_once, attribute, filled
from gradstep.arrays.memory import Ranges, allocate
from gradstep.arrays.parameters import check_writeable
from gradstep.method.rows import Plan
from gradstep.optimizer.cohorts import regroup
from gradstep.optimizer.layout import Layout
from gradstep.optimizer.settings import Settings
from gradstep.reference import RULES
from gradstep.values import is_number, own_dict, reading, shown

Array = NDArray[Any]

FORMAT = 1
COUNT_LIMIT = 2**53  # below it, float64 holds every count


def copied(layout: Layout) -> dict[str, Any]:
    return to_dict(layout, copies)


def load(layout: Layout, given: Mapping[str, Any]) -> None:
    checked = check(layout, given)
    checked.check_schedules()
    checked.take_over()


def to_dict(layout: Layout, arrays: Callable[[Any], dict[str, Array]] = dict) -> dict[str, Any]:
    """The state, of the live arrays unless they are copied. The caller has the turn."""
    layout.refresh()
    names = list(layout.params)
    counts = {
        names[i]: layout.steps - cohort.behind for cohort in layout.cohorts for i in cohort.members
    }
    return {
        "optimizer": layout.kind,
        "steps": layout.steps,
        "format": FORMAT,
        "groups": [{"params": list(group.names)} | group.numbers() for group in layout.groups],
        "state": {name: {"step": counts[name]} | arrays(layout.state[name]) for name in names},
        "ema": arrays(layout.ema),
    }


def copies(arrays: Mapping[str, Array]) -> dict[str, Array]:
    return {name: array.copy(order="K") for name, array in arrays.items()}


@dataclass
class Checked:
    """A state that fits. Taking it over cannot fail once the schedules are checked, too."""

    layout: Layout
    steps: int
    counts: dict[str, int]
    groups: list[dict[str, Any]]
    state: dict[str, dict[str, Array]]  # the arrays that will be live: of now where there are
    ema: dict[str, Array]
    given: Mapping[str, Any]

    def check_schedules(self) -> None:
        """Raise an error where a schedule of the optimizer gives no legal value at this step.

        It may have changed arrays, too, so they are checked after it. Nobody's code runs from here
        on until all is taken over.
        """
        for group, values in zip(self.layout.groups, self.groups, strict=True):
            group.evaluated(values, self.steps)
        self.check_arrays()

    def check_arrays(self) -> None:
        """Raise an error where values do not fit, or cannot be written into, the live arrays."""
        params = self.layout.params
        for name, array in self.ema.items():
            check_array(f"ema[{name!r}] in state_dict", self.given["ema"][name], params[name])
            check_writeable(f"the average of {name!r}", array)
        for name, slots in self.state.items():
            for slot, array in slots.items():
                what = f"state[{name!r}][{slot!r}]"
                check_array(f"{what} in state_dict", self.given["state"][name][slot], params[name])
                check_writeable(what, array)

    def take_over(self, changes: Iterable[Change] = ()) -> None:
        """Make it the state, and these changes with it, at once."""
        layout = self.layout
        positions = layout.positions()
        cohorts = regroup(
            (positions[name], place, self.steps - self.counts[name])
            for place, group in enumerate(layout.groups)
            for name in group.names
        )
        settings = tuple(Settings(layout.method, values) for values in self.groups)
        fill = [filled(array, self.given["ema"][name]) for name, array in self.ema.items()]
        for name, slots in self.state.items():
            fill += [filled(array, self.given["state"][name][s]) for s, array in slots.items()]
        parts = {
            "state": self.state, "ema": self.ema, "cohorts": cohorts, "steps": self.steps,
            "plans": [], "prepared_for": (),
        }  # fmt: skip
        at_once(
            [
                *changes,
                *fill,
                *(attribute(layout, name, part) for name, part in parts.items()),
                attribute(layout.chosen, "settings", settings),
            ]
        )()


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


def check(layout: Layout, given: Mapping[str, Any], hyperparameters: bool = True) -> Checked:
    """An error where `given` does not fit `layout`; nothing is changed. Needs the turn, too.

    Without `hyperparameters` those of `layout` stay. State that they need and `given` lacks begins
    anew, as if they had been set after the load; averages that nobody keeps any more are left out.
    """
    given = own_state(given)
    steps = check_header(given, layout.kind)
    values = check_groups(layout, given["groups"])
    if not hyperparameters:
        values = [group.changed({}) for group in layout.groups]
    plans = [group.plan_of(of_group) for group, of_group in zip(layout.groups, values, strict=True)]
    counts = check_state(layout, given["state"], plans, complete=hyperparameters)
    averaged = [
        name
        for group, plan in zip(layout.groups, plans, strict=True)
        for name in group.names
        if plan.averages
    ]
    if not hyperparameters and isinstance(given["ema"], Mapping):
        averaged = [name for name in averaged if name in given["ema"]]
    else:
        check_names("ema", given["ema"], averaged)
    state = {
        name: {
            slot: live_or_new(layout.state[name], slot, param, place)
            for place, slot in enumerate(slot for slot in given["state"][name] if slot != "step")
        }
        for name, param in layout.params.items()
    }
    ema = {
        name: live_or_new(layout.ema, name, layout.params[name], len(state[name]))
        for name in averaged
    }
    checked = Checked(layout, steps, counts, values, state, ema, given)
    checked.check_arrays()
    keep_apart(layout, given)
    return checked


def keep_apart(layout: Layout, given: Mapping[str, Any]) -> None:
    """Copy what lies on live arrays, which are written before all has been read."""
    state = [array for of_one in layout.state.values() for array in of_one.values()]
    live = Ranges((*layout.params.values(), *state, *layout.ema.values()))
    for arrays in (*given["state"].values(), given["ema"]):
        for name, array in arrays.items():
            if isinstance(array, np.ndarray) and live.shared_with(array):
                arrays[name] = array.copy(order="K")


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


def live_or_new(live: Mapping[str, Array], name: str, param: Array, place: int) -> Array:
    """The live array where there is one, so that references to it stay good."""
    return live[name] if name in live else allocate(param, 0.0, place)


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


def check_state(layout: Layout, given: Any, plans: list[Plan], *, complete: bool) -> dict[str, int]:
    """The step count of every parameter."""
    check_names("state", given, list(layout.params))
    counts = {}
    for group, plan in zip(layout.groups, plans, strict=True):
        slots = RULES[plan.rule].slots if complete else ()
        for name in group.names:
            of_one = given[name]
            came = list(of_one) if isinstance(of_one, Mapping) else of_one
            if not isinstance(of_one, Mapping) or not {"step", *slots} <= set(of_one):
                raise ValueError(
                    f"state_dict['state'][{name!r}] must hold {['step', *slots]}; got {shown(came)}"
                )
            if not set(of_one) <= {"step", *layout.method.slots}:
                raise ValueError(
                    f"state_dict['state'][{name!r}] holds what is no state of an optimizer; "
                    f"got {shown(came)}"
                )
            counts[name] = check_count(f"state[{name!r}]['step']", of_one["step"])
    return counts


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


def check_array(what: str, array: Any, param: Array) -> None:
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{what} must be an ndarray, got a {type(array).__name__}")
    if array.shape != param.shape or array.dtype != param.dtype:
        raise ValueError(
            f"{what} has shape {array.shape} and dtype {array.dtype}; "
            f"expected {param.shape} and {param.dtype}, as its parameter has"
        )
