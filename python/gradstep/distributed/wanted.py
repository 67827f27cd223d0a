"""What a step was called with, to be compared between ranks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from gradstep.method.rows import Plan


class Wanted(NamedTuple):
    """What a step was called with; the same on all ranks."""

    steps: int
    shards: int | None
    grad_scale: float
    with_norm: bool
    skip_nonfinite: bool
    present: tuple[bool, ...]
    plans: tuple[Plan, ...]
    rows: Any
    seen: int  # a checksum of the parameters, where they are compared

    def lines(self, names: Sequence[str]) -> list[str]:
        """In words."""
        return [
            f"it calls step() after {self.steps} steps",
            f"it calls step() with shards={self.shards}",
            f"it calls step() with grad_scale={self.grad_scale!r}, with_norm={self.with_norm}, "
            f"skip_nonfinite={self.skip_nonfinite}",
            *(
                f"gradient {name!r} is {'an array' if there else 'None'}"
                for name, there in zip(names, self.present, strict=True)
            ),
        ]
