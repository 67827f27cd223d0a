"""What is measured: an optimizer with its options, in gradstep's words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import gradstep as gs

LR = 1e-3


@dataclass(frozen=True, eq=False)
class Work:
    """One optimizer and its options; `name` is how the contestants know it."""

    name: str
    cls: type[gs.Optimizer]
    options: dict[str, Any]
    rule: str
    slots: int  # state arrays, each read and written once
    clip_norm: float | None = None

    def bytes_per_element(self, itemsize: int = 4) -> int:
        """The gradient read, parameter and state read and written; clipping reads it again."""
        reads_of_gradient = 1 if self.clip_norm is None else 2
        return itemsize * (reads_of_gradient + 2 * (1 + self.slots))

    def working_set(self, elements: int, itemsize: int = 4) -> int:
        """Bytes that a step touches."""
        return elements * itemsize * (2 + self.slots)


VARIANTS: dict[type[gs.Optimizer], list[dict[str, Any]]] = {
    gs.SGD: [{}, {"momentum": 0.9}],
    gs.RMSprop: [{}, {"momentum": 0.9, "centered": True}],
    gs.AdamW: [{}, {"amsgrad": True}],
}


# Those that take sums, products or averages of whole tensors are in benchmarks/whole.py.
OF_WHOLE_TENSORS = (
    *("LAMB", "LARS", "NovoGrad", "StableAdamW", "MARS", "Prodigy", "Adafactor"),
    *("ScheduleFreeSGD", "ScheduleFreeAdamW", "Muon", "SOAP"),
)


def every_optimizer() -> dict[str, Work]:
    """All others at their defaults; SGD, RMSprop and AdamW in their larger forms, too."""
    works = {}
    for name in gs.__all__:
        cls = getattr(gs, name)
        if name == "Optimizer" or name in OF_WHOLE_TENSORS:
            continue
        if not (isinstance(cls, type) and issubclass(cls, gs.Optimizer)):
            continue
        for chosen in VARIANTS.get(cls, [{}]):
            probe = cls([np.zeros(1, np.float32)], lr=LR, **chosen)
            title = ", ".join([name, *chosen])
            rule, slots = probe.groups[0].plan.rule, len(probe.state["0"])
            works[title] = Work(title, cls, {"lr": LR, **chosen}, rule, slots)
    return works


WORKS = every_optimizer()
ADAMW, SGD = WORKS["AdamW"], WORKS["SGD, momentum"]
CLIPPED = Work(
    "clip_norm + AdamW", ADAMW.cls, ADAMW.options, ADAMW.rule, ADAMW.slots, clip_norm=1.0
)
