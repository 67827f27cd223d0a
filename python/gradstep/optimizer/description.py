"""An optimizer in one line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gradstep.method.method import SHARED
from gradstep.optimizer.layout import Layout

SHOWN = 3  # names of a group's parameters


def describe(layout: Layout) -> str:
    """Its settings, but for the shared options that are off, and the size of its parameters.

    Of several groups first what they share, then what each has of its own.
    """
    groups = layout.groups
    elements = sum(param.size for param in layout.params.values())
    size = f"{len(layout.params)} tensors, {elements:,} elements"
    first, names = groups[0], list(layout.method.hyperparameters)
    shared = [n for n in names if all(group[n] == first[n] for group in groups[1:])]
    settings = listed(first, (n for n in shared if not is_off(n, first[n])))
    if len(groups) == 1:
        return f"{layout.kind}({settings}; {size})"
    own = [name for name in names if name not in shared]
    parts = [f"groups[{i}]: {part(group, group.names, own)}" for i, group in enumerate(groups)]
    return f"{layout.kind}({'; '.join([settings, *parts, size])})"


def is_off(name: str, value: Any) -> bool:
    return name in SHARED and bool(SHARED[name].default == value)


def listed(group: Mapping[str, Any], names: Iterable[str]) -> str:
    return ", ".join(f"{name}={group[name]!r}" for name in names)


def part(group: Mapping[str, Any], names: tuple[str, ...], own: list[str]) -> str:
    more = f", … {len(names)} in all" if len(names) > SHOWN else ""
    return f"{listed(group, own)}{' of ' if own else ''}{', '.join(names[:SHOWN])}{more}"
