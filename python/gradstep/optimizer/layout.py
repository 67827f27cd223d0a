"""An optimizer's tensors: parameters, groups, state, and the parameter table over all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from typing import Any

from numpy.typing import NDArray

from gradstep import runtime
from gradstep.arrays.gradients import GradientReader, Look, check_unchanged, look
from gradstep.arrays.groups import align_groups, split_groups
from gradstep.arrays.memory import allocate
from gradstep.arrays.parameters import check_disjoint, check_writeable
from gradstep.arrays.selection import Groups, pick_groups
from gradstep.arrays.structure import Align, Node
from gradstep.method.method import Method
from gradstep.optimizer.cohorts import Cohort, advance
from gradstep.optimizer.group import Group
from gradstep.optimizer.slots import allocate_slot
from gradstep.reference import RULES

Array = NDArray[Any]


class Layout:
    """What an optimizer works on. `stale` says that hyperparameters ask for another preparation."""

    def __init__(
        self,
        kind: str,
        method: Method,
        defaults: Mapping[str, Any],
        params: Any,
        picked: Groups | None = None,
    ) -> None:
        self.kind = kind
        self.method = method
        self.defaults = defaults
        self.steps = 0  # completed ones: what schedules are functions of
        self.params: dict[str, Array] = {}
        self.seen: dict[str, Look] = {}
        self.groups: list[Group] = []
        self.structures: list[Node] = []  # of what was given at once: params, or each group
        self.cohorts: list[Cohort] = []
        self.state: dict[str, dict[str, Array]] = {}
        self.ema: dict[str, Array] = {}
        self.grouped, groups = split_groups(params)
        if self.grouped and picked is not None:
            raise TypeError(
                "params is a list of groups, and groups= picks others out of it; give one of them"
            )
        for group in groups:
            self._add(group, picked)
        if not self.params:
            raise ValueError("params holds no parameters; give at least one array")
        check_disjoint(self.params)
        self.prepare()

    def add_group(self, group: Mapping[str, Any]) -> None:
        """One more group; an illegal one changes nothing."""
        before = {
            name: copy(value) if isinstance(value, (dict, list)) else value
            for name, value in vars(self).items()
        }
        try:
            self.grouped, (checked,) = split_groups([group])
            self._add(checked)
            check_disjoint(self.params)
            self.prepare()
        except BaseException:
            vars(self).update(before)
            raise

    def _add(self, entry: Mapping[str, Any], picked: Groups | None = None) -> None:
        given = {name: value for name, value in entry.items() if name != "params"}
        self.method.refuse_unknown(self.kind, given)
        structure, named = entry["params"](len(self.structures) if self.grouped else None)
        for name in named:
            if name in self.params:
                raise ValueError(
                    f"two groups have a parameter named {name!r}; rename one of their dict keys"
                )
        self.structures.append(structure)
        self.params.update(named)
        self.seen.update((name, look(param)) for name, param in named.items())
        positions = self.positions()
        parts = [(given, tuple(named))] if picked is None else pick_groups(named, picked)
        for options, names in parts:
            self.method.refuse_unknown(self.kind, options)
            values = {**self.defaults, **options}
            group = Group(self.method, values, names, self.mark_stale)
            self.groups.append(group)
            self.cohorts.append(Cohort(group, 0, [positions[name] for name in names]))

    def positions(self) -> dict[str, int]:
        """Where each parameter stands in the table."""
        return {name: i for i, name in enumerate(self.params)}

    def mark_stale(self) -> None:
        self.stale = True

    def refresh(self) -> None:
        if self.stale:
            self.prepare()

    def rows(self) -> list[tuple[Any, dict[str, float]]]:
        """A row for every cohort, for the next step; prepares what has to be."""
        method = self.method
        while True:
            if self.stale or self.table_type is not runtime.table_type:
                self.prepare()
            rows, group = [], None
            for cohort in self.cohorts:
                if cohort.group is not group:
                    group = cohort.group
                    settings = group.settings
                    h, parts = settings.fixed or settings.prepared(self.steps)
                at_step = method.step_coefficients(cohort.rule, h, cohort.count + 1)
                rows.append((parts, at_step))
            if not self.stale:  # by a hyperparameter that was set meanwhile
                return rows

    def prepare(self) -> None:
        """Bring state, averages and the parameter table in line with the hyperparameters."""
        values = [dict(group.at(self.steps)) for group in self.groups]
        self.check_params(self.params)
        slots, averages, state = [], [], []
        of = {
            name: (group, h)
            for group, h in zip(self.groups, values, strict=True)
            for name in group.names
        }
        for name in self.params:
            group, h = of[name]
            of_rule, average = self._slots_of(name, group, h), self._average_of(name, group)
            slots.append(list(of_rule.values()))
            averages.append(average)
            named = {f"state[{name!r}][{slot!r}]": array for slot, array in of_rule.items()}
            state.append(
                named if average is None else named | {f"the average of {name!r}": average}
            )
        reader = GradientReader(self.params, self.seen, state)
        for i in range(len(self.params)):
            reader.check_state(i)
        table_type = runtime.table_type
        self.table = table_type(list(self.params.values()), slots, averages, reader)
        self.table_type = table_type
        self.align: Align = align_groups(self.structures, self.grouped)
        plans = [group.plan for group in self.groups]
        self.skips_nonfinite = any(plan.skips_nonfinite for plan in plans)
        self.needs_norm = self.skips_nonfinite or any(plan.limits_norms for plan in plans)
        self.assign()
        self.stale = False

    def check_params(self, names: Iterable[str]) -> None:
        """Raise a ValueError where one of these can no longer be written."""
        for name in names:
            check_writeable(f"parameter {name!r}", self.params[name])
            check_unchanged(name, self.params[name], self.seen[name])

    def _slots_of(self, name: str, group: Group, h: Mapping[str, Any]) -> dict[str, Array]:
        slots = self.state.setdefault(name, {})
        wanted = RULES[group.plan.rule].slots
        for slot in wanted:
            if slot not in slots:
                slots[slot] = allocate_slot(
                    self.method.slots[slot], self.params[name], h, len(slots)
                )
        return {slot: slots[slot] for slot in wanted}

    def _average_of(self, name: str, group: Group) -> Array | None:
        if not group.plan.averages:
            self.ema.pop(name, None)
        elif name not in self.ema:
            average = allocate(self.params[name], 0.0, len(self.state[name]))
            average[...] = self.params[name]
            self.ema[name] = average
        return self.ema.get(name)

    def count_step(self, absent: Sequence[int]) -> None:
        """Count a step for all tensors but those in `absent`."""
        self.steps += 1
        if advance(self.cohorts, absent) and not self.stale:
            self.assign()

    def assign(self) -> None:
        """Tell the table which rule every cohort follows, and every tensor's cohort."""
        row_of = [0] * len(self.params)
        for row, cohort in enumerate(self.cohorts):
            cohort.rule = cohort.group.plan.rule
            for i in cohort.members:
                row_of[i] = row
        plans = [cohort.group.plan for cohort in self.cohorts]
        self.table.assign([(plan.rule, plan.cautious) for plan in plans], row_of)
