"""Parameters that closures are evaluated over: their structure, and the arrays."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.arrays.groups import plain_arrays, split_groups
from gradstep.arrays.parameters import check_disjoint
from gradstep.arrays.structure import Align, Node, aligner

Array = NDArray[Any]

TAKEN = (np.dtype(np.float32), np.dtype(np.float64))


class Parameters:
    """What the user gave, and the same as plain arrays by name."""

    def __init__(self, structure: Node, given: Mapping[str, Any]) -> None:
        self.structure, self.given = structure, dict(given)
        self.plain = plain_arrays(given)
        if not self.plain:
            raise ValueError("params holds no parameters; give at least one array")
        for name, param in self.plain.items():
            if param.dtype not in TAKEN:
                raise TypeError(
                    f"parameter {name!r} has dtype {param.dtype}; expected float32 or float64, as "
                    "line searches compare losses that narrower parameters cannot tell apart. "
                    "Keep it in float32, and round a copy after the step."
                )
        check_disjoint(self.plain)

    @classmethod
    def of(cls, params: Any, kind: str) -> Parameters:
        grouped, groups = split_groups(params)
        if grouped:
            raise TypeError(
                f"params is a list of groups; {kind} has one set of options for all parameters, "
                "whose curvature is measured together. Give the arrays without groups."
            )
        return cls(*groups[0]["params"](None))

    @cached_property
    def align(self) -> Align:
        """What flattens gradients of the parameters' structure."""
        return aligner(self.structure)
