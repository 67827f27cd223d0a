"""The directions of Muon: momentum, its look-ahead, and that made orthogonal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from gradstep.arrays.at_once import Change
from gradstep.directions.ahead import Ahead
from gradstep.directions.matrices import Matrix, Step
from gradstep.directions.newton_schulz import NewtonSchulz, as_matrix
from gradstep.directions.products import Products

Array = NDArray[Any]

FEWEST_ROWS = 192  # that are as fast in bfloat16 as in float32


class MuonDirections:
    """Of all matrices of an optimizer, in their workspaces."""

    def __init__(self, matrices: list[Matrix], products: Products) -> None:
        self._matrices, self._products = matrices, products
        self._ahead = Ahead({m.name: m.workspaces["direction"] for m in matrices}, products)
        self._iterations: dict[str | None, Any] = {None: NewtonSchulz(products)}

    def compute(self, steps: list[Step]) -> None:
        """Directions of the tensors that these are about; nothing else is written."""
        for matrix, step in zip(self._matrices, steps, strict=True):
            if step.grad is not None:
                matrix.workspaces["direction"][...] = matrix.values("momentum_buffer")
        averaging = [(step.h["momentum"], 1.0 - step.h["momentum"]) for step in steps]
        self._ahead.average(steps, averaging)
        if any(step.h["nesterov"] for step in steps):
            looking = [step if step.h["nesterov"] else step.absent() for step in steps]
            self._ahead.average(looking, averaging)
        for matrix, step in zip(self._matrices, steps, strict=True):
            if step.grad is not None and matrix.size:
                self._orthogonalize(as_matrix(matrix.workspaces["direction"]), step.h)

    def finite(self, matrix: Matrix) -> bool:
        """Whether all else that is kept of the step will be."""
        return True

    def changes(self, steps: list[Step]) -> list[Change]:
        """What is to be written with the step beside what the engine writes."""
        return []

    def _orthogonalize(self, direction: Array, h: Mapping[str, Any]) -> None:
        dtype = h["ns_dtype"] if min(direction.shape) >= FEWEST_ROWS else None
        self._iteration(dtype).orthogonalize(
            direction,
            h["ns_coefficients"],
            h["ns_steps"],
            h["eps"],
            adjustment(h["adjust_lr_fn"], *direction.shape),
        )

    def _iteration(self, dtype: str | None) -> Any:
        if dtype not in self._iterations:
            from gradstep.directions.bfloat16 import BFloat16NewtonSchulz

            self._iterations[dtype] = BFloat16NewtonSchulz()
        return self._iterations[dtype]


def adjustment(name: str | None, rows: int, columns: int) -> float:
    """What a matrix' shape makes of lr."""
    if name == "match_rms_adamw":
        return 0.2 * math.sqrt(max(rows, columns))
    return math.sqrt(max(1.0, rows / columns))
