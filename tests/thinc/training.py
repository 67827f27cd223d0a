"""Steps of an optimizer of Thinc's kind over a few arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

thinc = pytest.importorskip("thinc.api", reason="thinc is not installed: pip install '.[thinc]'")

Array = NDArray[Any]

SHAPES = ((7,), (5, 3), (33, 4), (1500,))
DYNAMIC = hasattr(thinc, "Schedule")  # Thinc 9: attributes of an optimizer are schedules


def weights(dtype: str = "float32") -> list[Array]:
    rng = np.random.default_rng(0)
    return [rng.standard_normal(shape).astype(dtype) for shape in SHAPES]


def gradients(step: int, dtype: str = "float32") -> list[Array]:
    rng = np.random.default_rng(1000 + step)
    return [(0.05 * rng.standard_normal(shape) + 0.02).astype(dtype) for shape in SHAPES]


def stepped(opt: Any, params: list[Array], steps: range, lr_scale: float = 1.0) -> list[Array]:
    """The weights after these steps."""
    for step in steps:
        for i, gradient in enumerate(gradients(step)):
            params[i], _ = opt((i, "W"), params[i], gradient, lr_scale=lr_scale)
            assert not gradient.any()
        opt.step_schedules()
    return params


def state(opt: Any) -> dict[str, Array]:
    """Copies of all arrays that are kept of weights."""
    kept = {"mom1": opt.mom1, "mom2": opt.mom2, "averages": opt.averages or {}}
    return {
        f"{what}[{key}]": np.array(array) for what, of in kept.items() for key, array in of.items()
    }
