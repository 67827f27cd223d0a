"""An optimizer in one line."""

from __future__ import annotations

from gradstep.method.method import SHARED
from gradstep.optimizer.layout import Layout


def describe(layout: Layout) -> str:
    """Its settings, but for the shared options that are off, and the size of its parameters."""
    kind, params, groups = layout.kind, layout.params, layout.groups
    elements = sum(param.size for param in params.values())
    size = f"{len(params)} tensors, {elements:,} elements"
    if len(groups) > 1:
        return f"{kind}({len(groups)} groups; {size})"
    shown = {
        name: value
        for name, value in groups[0].items()
        if name != "params" and not (name in SHARED and SHARED[name].default == value)
    }
    settings = ", ".join(f"{name}={value!r}" for name, value in shown.items())
    return f"{kind}({settings}; {size})"
