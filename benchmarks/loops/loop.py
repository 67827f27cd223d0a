"""What a training loop is, and what its contestants are.

Nothing here imports gradstep or PyTorch: a contestant's process does, in its own order, or not at
all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from benchmarks.loops.ours import EVERY_NAME, FIRST, WHEEL

Array = NDArray[Any]

MEASURED, ONE_THREAD, NO_OPTIMIZER = "gradstep", "gradstep, 1 thread", "no optimizer"
PRODUCTS = "products alone"
LR = 1e-4  # at ten times as much units die, and their averages decay to denormal numbers
BATCHES, LABELINGS = 16, 17  # no common divisor: no batch keeps its labels


@dataclass(frozen=True)
class Loop:
    """Training a multi-layer perceptron of these widths."""

    kind: str
    widths: tuple[int, ...]
    batch: int
    dtype: str = "float32"

    def __str__(self) -> str:
        widths = "-".join(map(str, self.widths))
        if len(self.widths) > 5:
            widths = f"{len(self.widths) - 1} layers of {self.widths[0]}"
        return f"{self.kind} {widths}, batch {self.batch}, {self.dtype}"


@dataclass(frozen=True)
class Running:
    """A loop under way: one training step, and the loss of the last one."""

    step: Callable[[], object]
    loss: Callable[[], float]


class Kind:
    """Loops of one library.

    `others` are all contestants beside gradstep's for it; `peer` is the optimizer that its loops
    use without it, and `pinned` whom runs are tracked against. `ours` are gradstep's contestants
    without ``--everything``; each takes part as a wheel, too, where one was installed. `bounds`
    show what no optimizer can change where two processes run at once. `unit` is
    what the time is of. After so many units as `checked` says, losses may differ by a share of
    `tolerance`; those of `differs` by more, as their arithmetic is another one.
    """

    name: str
    imports_first = False  # whether it matters who is imported first
    peer: str
    pinned: str
    others: tuple[str, ...]
    ours: tuple[str, ...] = (MEASURED, ONE_THREAD)
    bounds: tuple[str, ...] = (NO_OPTIMIZER,)
    unit = "training step"
    checked = 20
    differs: Mapping[str, str] = MappingProxyType({})
    tolerance: ClassVar[dict[str, float]] = {"float32": 2e-6, "float64": 1e-9}

    def contestants(self, *, everything: bool, tracked: bool, wheel: bool) -> list[str]:
        """Who takes part; gradstep from a wheel only where there is one to install."""
        if tracked:
            return [self.pinned, MEASURED, ONE_THREAD]
        names = EVERY_NAME if everything else [n for n in EVERY_NAME if self.is_default(n)]
        if not self.imports_first:
            names = [name for name in names if not name.endswith(FIRST)]
        return [*self.others, *(name for name in names if wheel or WHEEL not in name)]

    def is_default(self, name: str) -> bool:
        """Whether one of gradstep's takes part without ``--everything``."""
        return name.replace(WHEEL, "").removesuffix(FIRST) in self.ours

    def start(self, loop: Loop, contestant: str, wheel: Path | None) -> Running:
        """The loop with this contestant as its optimizer, before its first step.

        LookupError or ImportError says why it cannot take part.
        """
        raise NotImplementedError


def data(loop: Loop) -> tuple[list[Array], list[Array]]:
    """Batches of inputs, and labelings of a batch.

    Each batch meets each labeling in turn, so that nothing can be learned by heart. Otherwise
    gradients vanish, and what is timed in the end are denormal numbers.
    """
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((BATCHES, loop.batch, loop.widths[0])).astype(loop.dtype)
    labels = rng.integers(loop.widths[-1], size=(LABELINGS, loop.batch))
    return list(inputs), list(labels)


def weights(loop: Loop) -> list[Array]:
    """Matrices and biases, layer by layer, after He et al. 2015."""
    rng = np.random.default_rng(1)
    arrays: list[Array] = []
    for fan_in, fan_out in zip(loop.widths, loop.widths[1:], strict=False):
        scale = np.sqrt(2.0 / fan_in)
        arrays.append((scale * rng.standard_normal((fan_in, fan_out))).astype(loop.dtype))
        arrays.append(np.zeros(fan_out, loop.dtype))
    return arrays
