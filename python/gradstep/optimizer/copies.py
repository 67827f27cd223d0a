"""Deep copies and pickles of an optimizer: its arrays copied, its schedules as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from numpy.typing import NDArray

from gradstep.arrays.parameters import check_param
from gradstep.optimizer import state_dict as states
from gradstep.optimizer.layout import Layout

Array = NDArray[Any]
Parts = dict[str, Any]


def parts_of(layout: Layout) -> Parts:
    """All that :func:`layout_of` needs, the parameters not copied. The caller has the turn."""
    return {
        "kind": layout.kind,
        "defaults": dict(layout.defaults),
        "grouped": layout.grouped,
        "params": dict(layout.params),
        "groups": [
            {"structure": group.structure, "names": group.names, "values": group.settings.values}
            for group in layout.groups
        ],
        "state": states.copied(layout),
    }


def layout_of(method: Any, parts: Mapping[str, Any]) -> Layout:
    """A layout on the parameters in `parts`, with that state in memory of its own."""
    entries = [
        {**group["values"], "params": named(group["structure"], group["names"], parts["params"])}
        for group in parts["groups"]
    ]
    layout = Layout(parts["kind"], method, parts["defaults"], parts["grouped"], entries)
    states.load(layout, parts["state"])
    return layout


def named(
    structure: Any, names: tuple[str, ...], params: Mapping[str, Array]
) -> Callable[..., Any]:
    return lambda place: (structure, {name: check_param(name, params[name]) for name in names})
