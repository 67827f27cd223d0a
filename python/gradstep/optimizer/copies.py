"""Deep copies and pickles of an optimizer: its arrays copied, its schedules as they are."""

from __future__ import annotations

from copy import deepcopy
from types import MemberDescriptorType
from typing import Any

from gradstep.arrays.gradients import look
from gradstep.arrays.groups import plain_arrays
from gradstep.optimizer import state_dict as states
from gradstep.optimizer.cohorts import Cohort
from gradstep.optimizer.group import Chosen, Group
from gradstep.optimizer.layout import Layout
from gradstep.optimizer.settings import settings_of

Parts = dict[str, Any]


def parts_of(layout: Layout) -> Parts:
    """All that :func:`layout_of` needs, the parameters not copied. The caller has the turn."""
    return {
        "kind": layout.kind,
        "defaults": dict(layout.defaults),
        "grouped": layout.grouped,
        "structures": list(layout.structures),
        "params": dict(layout.given),
        "groups": [(g.names, g.settings.values, dict(g.constructed)) for g in layout.groups],
        "state": states.copied(layout),
    }


def copied_parts(layout: Layout, memo: dict[int, Any]) -> Parts:
    """The same with copies of the parameters, or what `memo` has for them."""
    parts = parts_of(layout)
    return parts | {"params": deepcopy(parts["params"], memo)}


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
        chosen=chosen,
        groups=[
            Group(method, names, chosen, place, constructed)
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
