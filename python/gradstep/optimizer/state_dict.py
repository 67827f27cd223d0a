"""An optimizer's state as the plain dict that checkpoints hold, and back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.arrays.at_once import Change, at_once, attribute, filled
from gradstep.arrays.memory import Ranges
from gradstep.arrays.parameters import check_writeable
from gradstep.method.slots import Slot
from gradstep.optimizer import half_copies
from gradstep.optimizer.cohorts import regroup
from gradstep.optimizer.layout import Layout
from gradstep.optimizer.settings import Settings
from gradstep.optimizer.state_checks import (
    FORMAT,
    check_average,
    check_average_format,
    check_groups,
    check_header,
    check_names,
    check_state,
    check_state_array,
    check_storage_kept,
    own_state,
)
from gradstep.optimizer.storage import format_of_array, new_like

Array = NDArray[Any]


def copied(layout: Layout) -> dict[str, Any]:
    return to_dict(layout, copies)


def load(layout: Layout, given: Mapping[str, Any], convert: bool = False) -> None:
    checked = check(layout, given, convert=convert)
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
    formats: dict[str, dict[str, str | None]]
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
        for name in params:
            self.layout.copies.check(name)
        for name, array in self.ema.items():
            check_average(name, self.given["ema"][name], params[name])
            check_writeable(f"the average of {name!r}", array)
        slots = self.layout.method.slots
        for name, arrays in self.state.items():
            for key, array in arrays.items():
                check_state_array(name, key, self.given["state"][name][key], params[name], slots)
                check_writeable(f"state[{name!r}][{key!r}]", array)

    def take_over(
        self, changes: Iterable[Change] = (), params: Mapping[str, Array] | None = None
    ) -> None:
        """Make it the state, and these changes with it, which set these parameters, at once."""
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
        fill += half_copies.changes(layout.copies, {**layout.params, **(params or {})})
        parts = {
            "state": self.state, "ema": self.ema, "formats": self.formats, "cohorts": cohorts,
            "steps": self.steps, "plans": [], "prepared_for": (),
        }  # fmt: skip
        at_once(
            [
                *changes,
                *fill,
                *(attribute(layout, name, part) for name, part in parts.items()),
                attribute(layout.chosen, "settings", settings),
            ]
        )()


def check(
    layout: Layout, given: Mapping[str, Any], hyperparameters: bool = True, convert: bool = False
) -> Checked:
    """An error where `given` does not fit `layout`; nothing is changed. Needs the turn, too.

    Without `hyperparameters` those of `layout` stay. State that they need and `given` lacks begins
    anew, as if they had been set after the load; averages that nobody keeps any more are left out.
    With `convert` state is brought into the formats that `layout` has.
    """
    given = own_state(given)
    steps = check_header(given, layout.kind)
    values = check_groups(layout, given["groups"])
    if not hyperparameters:
        values = [group.changed({}) for group in layout.groups]
    values = check_storage_kept(layout, values, convert)
    plans = [group.plan_of(of_group) for group, of_group in zip(layout.groups, values, strict=True)]
    counts = check_state(layout, given["state"], plans, hyperparameters, convert)
    plan_of = {n: plan for g, plan in zip(layout.groups, plans, strict=True) for n in g.names}
    averaged = [name for name, plan in plan_of.items() if plan.averages]
    if not hyperparameters and isinstance(given["ema"], Mapping):
        averaged = [name for name in averaged if name in given["ema"]]
    else:
        check_names("ema", given["ema"], averaged)
    for name in averaged:
        check_average(name, given["ema"][name], layout.params[name])
        if not convert:
            check_average_format(name, given["ema"][name], plan_of[name])
    state, formats = {}, {}
    for name, param in layout.params.items():
        arrays = {key: array for key, array in given["state"][name].items() if key != "step"}
        state[name] = {
            key: live_or_new(layout.state[name].get(key), array, param, place)
            for place, (key, array) in enumerate(arrays.items())
        }
        slots = layout.method.slots
        formats[name] = {k: format_of_array(a, slots[k]) for k, a in arrays.items() if k in slots}
    ema = {}
    for name in averaged:
        average, param = given["ema"][name], layout.params[name]
        ema[name] = live_or_new(layout.ema.get(name), average, param, len(state[name]))
        formats[name]["ema"] = format_of_array(average, Slot())
    checked = Checked(layout, steps, counts, values, state, ema, formats, given)
    checked.check_arrays()
    keep_apart(layout, given)
    return checked


def live_or_new(live: Array | None, given: Array, param: Array, place: int) -> Array:
    """The live array where it is like the given one, so that references to it stay good."""
    if live is not None and (live.shape, live.dtype) == (given.shape, given.dtype):
        return live
    return new_like(param, given, place)


def keep_apart(layout: Layout, given: Mapping[str, Any]) -> None:
    """Copy what lies on live arrays, which are written before all has been read."""
    state = [array for of_one in layout.state.values() for array in of_one.values()]
    live = Ranges((*layout.params.values(), *state, *layout.ema.values()))
    for arrays in (*given["state"].values(), given["ema"]):
        for name, array in arrays.items():
            if isinstance(array, np.ndarray) and live.shared_with(array):
                arrays[name] = array.copy(order="K")
