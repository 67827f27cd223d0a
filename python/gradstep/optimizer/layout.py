"""An optimizer's tensors: parameters, groups, state, and the parameter table over all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from functools import partial
from types import MappingProxyType
from typing import Any

from numpy.typing import NDArray

from gradstep import runtime
from gradstep.arrays.at_once import at_once, attribute
from gradstep.arrays.copies import NO_COPIES, Copies, copies_by_name, lined_up
from gradstep.arrays.gradients import GradientReader
from gradstep.arrays.groups import align_groups, plain_arrays
from gradstep.arrays.parameters import (
    Look,
    check_disjoint,
    check_unchanged,
    check_writeable,
    look,
)
from gradstep.arrays.parts import Part
from gradstep.arrays.selection import Groups, pick_groups
from gradstep.arrays.stored import Factored, Stored
from gradstep.arrays.structure import Align, Node
from gradstep.directions.matrices import Matrix
from gradstep.directions.table import directed, products_for
from gradstep.method.method import Method
from gradstep.method.rows import Plan, key_of
from gradstep.optimizer import half_copies
from gradstep.optimizer.cohorts import Cohort
from gradstep.optimizer.factors import check_factors
from gradstep.optimizer.group import Chosen, Group
from gradstep.optimizer.rows_of_step import Rows, with_draws, with_settings
from gradstep.optimizer.settings import Settings, settings_of
from gradstep.optimizer.storage import Kept, array_of
from gradstep.reference import RULES

Array = NDArray[Any]


class Layout:
    """What an optimizer works on.

    Whatever changes it makes the new parts aside, and then sets them with no call in between, so
    that an interrupt finds it as before or as after.

    With `parts` each parameter is a part of a whole tensor, by its name; steps then go in phases.
    """

    parts: Mapping[str, Part] = MappingProxyType({})
    # What puts back parameters that are elsewhere until the next step: ParamTable.start_from.
    displaced: Sequence[Callable[[], object]] = ()
    products_for = staticmethod(products_for)

    def __init__(
        self,
        kind: str,
        method: Method,
        defaults: Mapping[str, Any],
        grouped: bool,
        groups: Iterable[Mapping[str, Any]],
        picked: Groups | None = None,
        copies: Any = None,
        parts: Mapping[str, Part] | None = None,
    ) -> None:
        self.parts = parts or self.parts
        self.kind = kind
        self.method = method
        self.defaults = defaults
        self.steps = 0  # completed ones: what schedules are functions of
        self.grouped = grouped
        self.given: dict[str, Array] = {}  # parameters, of NumPy's subclasses, too
        self.params: dict[str, Array] = {}
        self.seen: dict[str, Look] = {}
        self.copies = NO_COPIES
        self.groups: list[Group] = []
        self.structures: list[Node] = []  # of what was given at once: params, or each group
        self.chosen = Chosen()
        self.cohorts: list[Cohort] = []
        self.state: dict[str, dict[str, Array]] = {}
        self.formats: dict[str, dict[str, str | None]] = {}  # of each array of the state
        self.ema: dict[str, Array] = {}
        self.plans: list[Plan] = []  # what state, averages and table were made for
        self.prepared_for: tuple[Settings, ...] = ()
        self.assigned: list[Cohort] | None = None
        self.table: Any = None
        self.table_type: Any = None
        if grouped and picked is not None:
            raise TypeError(
                "params is a list of groups, and groups= picks others out of it; give one of them"
            )
        entries = list(groups)
        for entry in entries:
            self.chosen.settings += self._add(entry, picked)
        if not self.params:
            raise ValueError("params holds no parameters; give at least one array")
        check_disjoint(self.params)
        self.copies = self._with_copies(entries, copies)
        self._prepare(self.chosen.settings)
        half_copies.write(self.copies, self.params)

    def add_group(self, group: Mapping[str, Any]) -> None:
        """One more group, as :func:`split_groups` gives it; an illegal one changes nothing."""
        self.check_params(self.params)
        new = copy(self)
        new.given, new.params, new.seen = dict(self.given), dict(self.params), dict(self.seen)
        new.groups, new.structures = list(self.groups), list(self.structures)
        new.cohorts, new.grouped = list(self.cohorts), True
        settings = new._add(group)
        check_disjoint(new.params)
        new.copies = new._with_copies([group])
        new._prepare(chosen := (*self.chosen.settings, *settings))
        set_parts = partial(vars(self).update, vars(new))
        written = half_copies.changes(new.copies, new.params)
        at_once([*written, set_parts, attribute(self.chosen, "settings", chosen)])()

    def _with_copies(self, entries: Sequence[Mapping[str, Any]], copies: Any = None) -> Copies:
        """The copies of before, those that came with these last entries, and those of all."""
        given = dict(self.copies.given)
        structures = self.structures[-len(entries) :]
        for structure, entry in zip(structures, entries, strict=True):
            given |= lined_up(structure, entry.get("copies"))
        of_all = copies_by_name(structures, self.grouped, copies)
        if twice := sorted(given.keys() & of_all.keys()):
            raise TypeError(
                f"{twice} have copies in their group and in copies=; give them in one of the two"
            )
        return Copies(given | of_all, self.params)

    def _add(self, entry: Mapping[str, Any], picked: Groups | None = None) -> tuple[Settings, ...]:
        """What was given at once: a group, or several that are picked out of it."""
        others = ("params", "copies")
        given = {name: value for name, value in entry.items() if name not in others}
        self.method.refuse_unknown(self.kind, given)
        structure, named = entry["params"](len(self.structures) if self.grouped else None)
        for name in named:
            if name in self.params:
                raise ValueError(
                    f"two groups have a parameter named {name!r}; rename one of their dict keys"
                )
        self.structures.append(structure)
        self.given.update(named)
        params = plain_arrays(named)
        self.params.update(params)
        self.seen.update((name, look(param)) for name, param in params.items())
        positions = self.positions()
        settings: tuple[Settings, ...] = ()
        parts = [(given, tuple(named))] if picked is None else pick_groups(params, picked)
        for options, names in parts:
            self.method.refuse_in_group(self.kind, options)
            of_group = settings_of(self.method, {**self.defaults, **options})
            place = len(self.groups)
            members = {name: params[name] for name in names}
            group = Group(self.method, members, self.chosen, place, of_group.numbers())
            group.check_storage(of_group.plan)
            self.groups.append(group)
            self.cohorts.append(Cohort(place, self.steps, [positions[name] for name in names]))
            settings += (of_group,)
        return settings

    def positions(self) -> dict[str, int]:
        """Where each parameter stands in the table."""
        return {name: i for i, name in enumerate(self.params)}

    def refresh(self) -> None:
        """Bring everything in line with the hyperparameters, the backend and the cohorts."""
        settings = self.chosen.settings
        if settings is not self.prepared_for or self.table_type is not runtime.table_type:
            self._prepare(settings)
        if self.assigned is not self.cohorts:
            self._assign(self.table, settings)
            self.assigned = self.cohorts

    def rows(self) -> Rows:
        """A row for every cohort, for the next step; prepares what has to be.

        What schedules set meanwhile counts from the step after it.
        """
        settings = self.chosen.settings
        if (
            settings is not self.prepared_for
            or self.assigned is not self.cohorts
            or self.table_type is not runtime.table_type
        ):
            self.refresh()
            settings = self.prepared_for
        steps, step_coefficients = self.steps, self.method.step_coefficients
        rows: Rows = []
        place = -1
        for cohort in self.cohorts:
            if cohort.group != place:
                place = cohort.group
                of_group = settings[place]
                h, parts = of_group.fixed or of_group.prepared(steps)
            at_step = step_coefficients(of_group.rule, h, steps - cohort.behind + 1)
            rows.append((parts, at_step))
        if self.draws:
            rows = with_draws(rows, settings, self.cohorts, steps)
        return with_settings(rows, settings, self.cohorts, steps) if self.directed else rows

    def _prepare(self, settings: tuple[Settings, ...]) -> None:
        """Make state, averages and the parameter table as these settings ask for."""
        plans = [of_group.plan for of_group in settings]
        table_type = runtime.table_type
        if plans == self.plans and table_type is self.table_type:
            self.prepared_for = settings
            return
        self.put_back()
        values = [dict(of_group.at(self.steps)) for of_group in settings]
        self.check_params(self.params)
        state: dict[str, dict[str, Array]] = {}
        formats: dict[str, dict[str, str | None]] = {}
        params: list[Array | Stored] = []
        slots: list[list[Array | Stored | Factored]] = []
        scalars: list[list[Array]] = []
        averages: list[Array | Stored | None] = []
        named: list[dict[str, Array]] = []
        ema: dict[str, Array] = {}
        matrices: list[Matrix] = []
        place_of = {name: i for i, group in enumerate(self.groups) for name in group.names}
        for name in self.params:
            plan, h = plans[place_of[name]], values[place_of[name]]
            there = self.state.get(name, {}), self.formats.get(name, {})
            kept = Kept(self.params[name], *there, self.parts.get(name))
            params.append(kept.of_param(plan.rounding))
            rule, declared = RULES[plan.rule], self.method.slots
            check_factors(name, self.params[name], plan.rule, declared)
            slots.append([kept.of_slot(declared[slot], plan, h) for slot in rule.slots])
            scalars.append([kept.of_scalar(declared[slot], h) for slot in rule.whole.scalars])
            if kept.workspaces:
                given = zip(rule.slots, slots[-1], strict=True)
                own = {slot: a for slot, a in given if not isinstance(a, Factored)}
                whole = {
                    slot: array_of(kept.of_slot(declared[slot], plan, h))
                    for slot in self.method.matrices(plan.rule)
                }
                matrices.append(Matrix(len(named), name, plan.rule, own, kept.workspaces, whole))
            average = None
            if plan.averages:
                average = kept.of_average(self.ema.get(name), plan)
                ema[name] = array_of(average)
            averages.append(average)
            state[name], formats[name] = kept.arrays, kept.formats
            written = {
                f"state[{name!r}][{key!r}]": kept.arrays[key]
                for key in kept.written_by(plan.rule, declared)
            }
            if plan.averages:
                written[f"the average of {name!r}"] = ema[name]
            named.append(written)
        reader = self._reader(named)
        for i in range(len(self.params)):
            reader.check_state(i)
        copies = [self.copies.stored(name) for name in self.params]
        keys = [key_of(name) for name in self.params]
        parts = [self.parts[name] for name in self.params] if self.parts else None
        held = table_type(params, slots, scalars, averages, copies, keys, reader, parts)
        table = directed(held, matrices, reader, self.params.values(), self.products_for)
        cohorts = self.cohorts
        self._assign(table, settings)
        align: Align = align_groups(self.structures, self.grouped)
        drawing = any(plan.draws for plan in plans)
        skips_nonfinite = any(plan.skips_nonfinite for plan in plans)
        needs_norm = skips_nonfinite or any(plan.limits_norms for plan in plans)
        # No call from here on.
        self.state, self.formats, self.ema = state, formats, ema
        self.table, self.table_type = table, table_type
        self.align, self.skips_nonfinite, self.needs_norm = align, skips_nonfinite, needs_norm
        self.draws, self.directed = drawing, bool(matrices)
        self.plans, self.prepared_for, self.assigned = plans, settings, cohorts

    def _reader(self, written: Sequence[Mapping[str, Array]]) -> GradientReader:
        """What makes gradients readable; with the parameters steps write these arrays."""
        return GradientReader(self.params, self.seen, written, self.copies)

    def put_back(self) -> None:
        """End what moves the parameters until the next step."""
        for put_back in self.displaced[:1]:
            put_back()

    def check_params(self, names: Iterable[str]) -> None:
        """Raise a ValueError where one of these can no longer be written."""
        for name in names:
            check_writeable(f"parameter {name!r}", self.params[name])
            check_unchanged(f"parameter {name!r}", self.params[name], self.seen[name])
            self.copies.check(name)

    def _assign(self, table: Any, settings: Sequence[Settings]) -> None:
        """Tell the table which rule every cohort follows, and every tensor's cohort."""
        row_of = [0] * len(self.params)
        for row, cohort in enumerate(self.cohorts):
            for i in cohort.members:
                row_of[i] = row
        plans = [settings[cohort.group].plan for cohort in self.cohorts]
        table.assign([(plan.rule, plan.cautious, plan.units_axis == 0) for plan in plans], row_of)
