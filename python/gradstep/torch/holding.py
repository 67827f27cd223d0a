"""What an optimizer over tensors works on: arrays on their memory, and tensors on its state."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from operator import setitem
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gradstep.arrays.at_once import at_once, attribute
from gradstep.arrays.parameters import look
from gradstep.directions.by_torch import by_torch
from gradstep.method.method import Method
from gradstep.optimizer import half_copies
from gradstep.optimizer.cohorts import after_step
from gradstep.optimizer.group import Chosen, Group
from gradstep.optimizer.layout import Layout
from gradstep.optimizer.rows_of_step import Rows
from gradstep.optimizer.settings import Settings
from gradstep.optimizer.storage import BESIDE_PARAM, Kept, fill, is_narrow
from gradstep.reference import RULES
from gradstep.torch.carried import Carried
from gradstep.torch.completeness import check_complete, check_whole
from gradstep.torch.copies import copies_of
from gradstep.torch.gradients import TensorReader
from gradstep.torch.groups import Followed
from gradstep.torch.members import can_be_stepped, cohorts_of, members_of, names_of
from gradstep.torch.sharding import Spread, local_of, spread_like, whole_of
from gradstep.torch.shown import is_whole, shown_of
from gradstep.torch.state import UNCOUNTED, adopted, check_apart, count_of
from gradstep.torch.tensors import array_of, check_axes, check_tensor, in_memory_order
from gradstep.torch.watch import Moved, look_at, snapshot, watch

Array = NDArray[Any]
State = dict[Any, Any]


class Holding(Layout):
    """Made of the groups and the state that users see, which are the truth; made anew where they
    ask for more than other numbers.

    Parameters
    ----------
    kind, method
        The optimizer's name and what it is.
    groups, state
        Those of a ``torch.optim.Optimizer``.
    copies
        Copies in half precision by their parameters.
    before
        What there was before; of it step counts are known that users do not see.
    steps
        The number of completed steps, if that is known.
    by_zero
        Whether a ``ZeroRedundancyOptimizer`` gave some of its parameters.
    """

    products_for = staticmethod(by_torch)
    under_way: Rows | None = None  # the rows of a step that has not been counted

    def __init__(
        self,
        kind: str,
        method: Method,
        groups: list[dict[str, Any]],
        state: State,
        copies: Mapping[Tensor, Tensor],
        before: Holding | None = None,
        steps: int | None = None,
        by_zero: bool = False,
    ) -> None:
        self.groups_seen = snapshot(groups, 3)  # before they are read
        of_all = list(dict.fromkeys(p for group in groups for p in group["params"]))
        name_of = dict(zip(of_all, names_of(groups, of_all), strict=True))
        self.left_aside = [p for p in of_all if p.grad is None and not can_be_stepped(p)]
        self.given_params = [p for p in of_all if p not in set(self.left_aside)]
        self._place_of = {param: i for i, param in enumerate(self.given_params)}
        self.names = [name_of[p] for p in self.given_params]
        self.spread = Spread(self.given_params, by_zero)
        self.tensors = self.spread.parts
        for name, tensor in zip(self.names, self.tensors, strict=True):
            check_tensor(f"parameter {name!r}", tensor)
            check_axes(name, tensor, method)
        self.groups_given, self.group_state = groups, state
        # Before arrays are made, so that what changes meanwhile is noticed.
        self._looks = [(t, look_at(t)) for t in (*self.tensors, *copies.values())]
        arrays = {n: array_of(t) for n, t in zip(self.names, self.tensors, strict=True)}
        members = members_of(groups, name_of, arrays)
        self.followed = [
            Followed(method, group, any(map(is_narrow, own.values())))
            for group, own in zip(groups, members, strict=True)
        ]
        self.spread.check(*(followed.settings for followed in self.followed))
        chosen = Chosen(*(each.settings for each in self.followed))
        own_groups = [Group(method, own, chosen, i) for i, own in enumerate(members)]
        for group_of_ours in own_groups:
            group_of_ours.check_storage(group_of_ours.plan)
        found = {n: adopted(n, t, self._parts(p), method) for p, n, t in self._each()}
        check_apart(
            {f"parameter {name!r}": array for name, array in arrays.items()}
            | {
                f"state[{k!r}] of {n!r}": a
                for n, f in found.items()
                for k, (a, _) in f.tensors.items()
            }
        )
        known = {} if before is None or steps is not None else before.steps_taken()
        counts = [
            count_of(kind, name, state.get(p) or {}, known.get(p)) for p, name, _ in self._each()
        ]
        if steps is None:
            steps = 0 if before is None else before.steps
        steps = max(steps, *counts, 0)
        vars(self).update(
            kind=kind, method=method, defaults={}, grouped=True, structures=[], given=arrays,
            params=arrays, seen={name: look(array) for name, array in arrays.items()},
            copies=copies_of(copies, arrays, name_of), groups=own_groups, chosen=chosen,
            cohorts=cohorts_of(members, self.names, counts, steps),
            state={n: dict(f.arrays) for n, f in found.items()},
            formats={n: dict(f.formats) for n, f in found.items()},
            ema={n: f.average for n, f in found.items() if f.average is not None},
            plans=[], prepared_for=(), assigned=None, table=None, table_type=None, steps=steps,
        )  # fmt: skip
        self.kept = {n: dict(f.tensors) for n, f in found.items()}
        if before is not None and before.group_state is state:
            check_complete(before, self)
        elif kind not in UNCOUNTED:
            check_whole(self, counts)
        self._looks += [look for f in found.values() for look in f.looks]
        self.refresh()
        half_copies.write(self.copies, self.params)
        dtype = np.float64 if torch.get_default_dtype() == torch.float64 else np.float32
        self.counts = np.array(counts, dtype)
        states = [state.get(param) or {} for param in self.given_params]
        self.carried = Carried(kind, states, self.cohorts, self.settings, steps, dtype)
        self.carries = bool(self.carried.shown)
        self.copy_tensors = [copy for p, copy in copies.items() if p in self._place_of]
        self.pending = [i for i, (p, *_) in enumerate(self._each()) if not self._is_public(i, p)]

    def steps_taken(self) -> dict[Tensor, int]:
        """Of parameters whose state does not say it: those that have none, or count in secret."""
        slots = {name for name, kept in self.kept.items() if kept}
        return {
            param: int(self.counts[i])
            for i, (param, name, _) in enumerate(self._each())
            if name not in slots or self.group_state.get(param)
        }

    def place_of(self, param: Tensor) -> int | None:
        return self._place_of.get(param)

    def _each(self) -> Any:
        return zip(self.given_params, self.names, self.tensors, strict=True)

    def _parts(self, param: Tensor) -> State:
        """What users see of a parameter's state, tensors spread as it is and the parts here."""
        entry = self.group_state.get(param) or {}
        return {key: local_of(spread_like(value, param)) for key, value in entry.items()}

    def _is_public(self, i: int, param: Tensor) -> bool:
        """Whether users see the state of a parameter: from its first step on."""
        return bool(self.group_state.get(param)) or self.counts[i] > 0

    def _reader(self, written: Sequence[Mapping[str, Array]]) -> TensorReader:
        orders = [in_memory_order(tensor) for tensor in self.tensors]
        self.reader = TensorReader(self.params, self.seen, written, self.copies, orders=orders)
        return self.reader

    def check_params(self, names: Iterable[str]) -> None:
        """As for arrays; Moved where a schedule, say, has moved memory since these were made."""
        super().check_params(names)
        self._check_looks()

    def _check_looks(self) -> None:
        if any(look_at(tensor) != seen for tensor, seen in self._looks):
            raise Moved

    def hide(self, new: Sequence[int]) -> None:
        """Take back what was published of those parameters that have not stepped after all."""
        if not (again := [i for i in new if i not in self.pending]):
            return
        for i in again:
            self.group_state.pop(self.given_params[i], None)
        self.pending = sorted({*self.pending, *again})
        self.publish()

    def _begin_state(self, members: Sequence[int]) -> None:
        """Give state that begins from a hyperparameter the value that this has now."""
        for cohort in self.cohorts:
            h = self.settings[cohort.group].at(self.steps)
            for i in set(cohort.members) & set(members):
                name = self.names[i]
                kept = Kept(self.params[name], self.state[name], self.formats[name])
                for slot in RULES[self.settings[cohort.group].rule].state:
                    declared = self.method.slots[slot]
                    if isinstance(declared.first, str):
                        fill(kept.stored(slot), declared.first_value(h))
                self.carried.begin(i, h)

    def publish(self, also: Sequence[int] = ()) -> None:
        """Put into users' state what they are to see of it, and look at all from now on."""
        if also and not self.watch.unchanged():
            raise Moved
        pending = [i for i in self.pending if i not in set(also)]
        hidden = set(pending)
        beside, changes = list(self.copy_tensors), []
        for i, (param, name, tensor) in enumerate(self._each()):
            shown = {} if i in hidden else shown_of(self, i, name, tensor)
            if not shown:
                continue
            beside += shown.values()
            entry = self.group_state.get(param)
            if entry is None:
                entry = {}
                changes.append(partial(setitem, self.group_state, param, entry))
            gone = [k for k in BESIDE_PARAM.values() if k in entry and k not in shown]
            changes += [partial(entry.pop, key) for key in gone]
            for key, value in shown.items():
                of_elements = (
                    key != "step" and key not in self.carried.shown and not is_whole(self, key)
                )
                if local_of(entry.get(key)) is not value:
                    whole = whole_of(value, param) if of_elements else value
                    changes.append(partial(setitem, entry, key, whole))
        at_once([*changes, attribute(self, "pending", pending)])()
        self.watch: Any = watch(
            self.tensors, beside, self.copy_tensors, self.group_state, self.counts
        )
        self._check_looks()

    def without_state(self) -> list[int]:
        """The parameters that have a gradient for the first time."""
        of = {i: self.given_params[i] for i in self.pending}
        return [i for i, p in of.items() if p.grad is not None and not self.group_state.get(p)]

    def show(self, members: Sequence[int]) -> list[int]:
        """Publish the state of parameters that are about to take their first step."""
        if also := [i for i in members if not self.group_state.get(self.given_params[i])]:
            self._begin_state(also)
            self.publish(also)
        return also

    def took(self, absent: Collection[int]) -> None:
        """A step has been taken, of all parameters but the absent ones."""
        cohorts = after_step(self.cohorts, absent) if absent else self.cohorts
        self.steps, self.cohorts, self.under_way = self.steps + 1, cohorts, None
        if self.carries:
            self.carried.go_on(self.cohorts, self.settings, self.steps, absent, self.varied)
        if self.spread.distributed:
            self.spread.announce()

    def catch_up(self) -> bool:
        """Count a step that was taken before an interrupt; whether there was one."""
        if self.under_way is None or self.under_way is not self.table.last_step[0]:
            return False
        self.took(self.table.last_step[1])
        return True

    def unchanged(self) -> bool:
        """Whether all tensors are what they were."""
        return self.watch.unchanged() and self.spread.same()

    @property
    def settings(self) -> tuple[Settings, ...]:
        return self.chosen.settings

    def rows(self) -> Rows:
        if not (self.carries and self.varied):
            return super().rows()
        split = self.carried.split(self.cohorts)
        if len(split) != len(self.cohorts):
            self.cohorts = split
        return self.carried.into_rows(super().rows(), self.cohorts, self.settings, self.steps)

    @property
    def varied(self) -> bool:
        """Whether numbers that PyTorch carries no longer follow from the step counts."""
        return self.carried.varied or any(
            each.varies(self.carried.depends_on) for each in self.followed
        )

    def follow(self, groups: list[dict[str, Any]]) -> bool:
        """Take over what was changed in the groups; False where all has to be made anew."""
        if groups is not self.groups_given or len(groups) != len(self.followed):
            return False
        for group, followed in zip(groups, self.followed, strict=True):
            if group is not followed.group or not followed.follow():
                return False
        self.spread.check(*(followed.settings for followed in self.followed))
        settings = tuple(followed.settings for followed in self.followed)
        if any(a is not b for a, b in zip(settings, self.chosen.settings, strict=True)):
            self.chosen.settings = settings
        self.groups_seen = snapshot(groups, 3)
        return True
