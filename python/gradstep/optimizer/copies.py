"""Deep copies and pickles of an optimizer: its arrays copied, its schedules as they are."""

from __future__ import annotations

from copy import deepcopy
from types import MemberDescriptorType
from typing import Any, ClassVar, NoReturn, TypeVar

from gradstep.arrays.copies import Copies
from gradstep.arrays.groups import plain_arrays
from gradstep.arrays.parameters import look
from gradstep.optimizer import state_dict as states
from gradstep.optimizer.cohorts import Cohort
from gradstep.optimizer.group import Chosen, Group
from gradstep.optimizer.layout import Layout
from gradstep.optimizer.settings import settings_of
from gradstep.optimizer.turn import Turn

Parts = dict[str, Any]
Self = TypeVar("Self", bound="Copyable")


class Copyable:
    """What ``copy`` and ``pickle`` call of an optimizer."""

    method: ClassVar[Any]
    _turn: Turn
    _layout: Layout

    def __copy__(self) -> NoReturn:
        raise TypeError(
            "a shallow copy would share half of the optimizer; use copy.deepcopy(opt), or "
            "copy.deepcopy((params, opt)) to have its parameters in their structure, too"
        )

    def __deepcopy__(self: Self, memo: dict[int, Any]) -> Self:
        twin = memo[id(self)] = type(self).__new__(type(self))
        parts = self._turn.during("copy.deepcopy()", copied_parts, self._layout, memo)
        twin.__setstate__((parts, deepcopy(own_attributes(self), memo)))
        return twin

    def __getstate__(self) -> tuple[dict[str, Any], dict[str, Any]]:
        parts = self._turn.during("a pickle of it", parts_of, self._layout)
        return parts, own_attributes(self)

    def __setstate__(self, state: tuple[dict[str, Any], dict[str, Any]]) -> None:
        parts, attributes = state
        for name, value in attributes.items():
            object.__setattr__(self, name, value)
        self._turn, self._layout = Turn(), layout_of(self.method, parts)


def parts_of(layout: Layout) -> Parts:
    """All that :func:`layout_of` needs, the parameters not copied. The caller has the turn."""
    return {
        "kind": layout.kind,
        "defaults": dict(layout.defaults),
        "grouped": layout.grouped,
        "structures": list(layout.structures),
        "params": dict(layout.given),
        "copies": dict(layout.copies.given),
        "groups": [(g.names, g.settings.values, dict(g.constructed)) for g in layout.groups],
        "state": states.copied(layout),
    }


def copied_parts(layout: Layout, memo: dict[int, Any]) -> Parts:
    """The same with parameters and their copies copied, or what `memo` has for them."""
    parts = parts_of(layout)
    return parts | {name: deepcopy(parts[name], memo) for name in ("params", "copies")}


def own_attributes(opt: Any) -> dict[str, Any]:
    """What a subclass has beside its optimizer's own, in slots or not."""
    slots = (
        name
        for klass in type(opt).__mro__
        for name, slot in vars(klass).items()
        if isinstance(slot, MemberDescriptorType) and hasattr(opt, name)
    )
    own = {name: getattr(opt, name) for name in slots} | vars(opt)
    return {name: value for name, value in own.items() if name not in ("_turn", "_layout")}


def layout_of(method: Any, parts: Parts) -> Layout:
    """A layout on the parameters in `parts`, with that state in memory of its own."""
    layout = Layout.__new__(Layout)
    params = plain_arrays(parts["params"])
    positions = {name: i for i, name in enumerate(params)}
    chosen = Chosen(*(settings_of(method, values) for _, values, _ in parts["groups"]))
    vars(layout).update(
        {name: parts[name] for name in ("kind", "defaults", "grouped", "structures")},
        method=method,
        steps=0,
        given=parts["params"],
        params=params,
        seen={name: look(param) for name, param in params.items()},
        copies=Copies(parts["copies"], params),
        chosen=chosen,
        groups=[
            Group(method, {name: params[name] for name in names}, chosen, place, constructed)
            for place, (names, _, constructed) in enumerate(parts["groups"])
        ],
        cohorts=[
            Cohort(place, 0, [positions[name] for name in names])
            for place, (names, _, _) in enumerate(parts["groups"])
        ],
        state={},
        formats={},
        ema={},
        plans=[],
        prepared_for=(),
        assigned=None,
        table_type=None,
    )
    layout.refresh()
    states.load(layout, parts["state"])
    return layout
