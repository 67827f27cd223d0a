"""Adaptive clipping beside narrow storage: units in tensors of many blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradstep as gs
from tests.helpers import Array, assert_same_bits
from tests.narrow import STORAGES, raw

ISAS = gs.runtime.available_isas()
SHAPES: dict[str, tuple[int, ...]] = {
    "rows": (9, 1000),
    "columns": (1000, 9),
    "fortran": (67, 331),
    "vector": (40_000 + 77,),
    "deep": (5, 70, 129),
}
BESIDE = [name for name in STORAGES if "8bit" in name or "kahan" in name or "split" in name]


def trained(storage: str, limit: float | None, axis: int, grads: str) -> dict[str, Array]:
    """All that steps change whose units differ in magnitude."""
    rng = np.random.default_rng(4)
    dtype, options = STORAGES[storage]
    params = {name: rng.normal(size=shape).astype(dtype) for name, shape in SHAPES.items()}
    params["fortran"] = np.asfortranarray(params["fortran"])
    opt = gs.AdamW(params, lr=0.1, clip_adaptive=limit, clip_adaptive_axis=axis, **options)
    for _ in range(3):
        magnitudes = {name: 10.0 ** rng.uniform(-3, 3, shape) for name, shape in SHAPES.items()}
        values: dict[str, Any] = {n: rng.normal(size=m.shape) * m for n, m in magnitudes.items()}
        opt.step({name: value.astype(grads) for name, value in values.items()})
    return raw(opt)


@pytest.mark.parametrize("axis", [0, -1])
@pytest.mark.parametrize("grads", ["float32", "float16"])
@pytest.mark.parametrize("storage", BESIDE)
@pytest.mark.usefixtures("native", "low_threshold")
def test_limits_of_units(storage: str, grads: str, axis: int) -> None:
    """A limit that nothing reaches changes nothing, and one that all do the same everywhere."""
    with gs.runtime.set_backend("numpy"):
        free, tight = (trained(storage, limit, axis, grads) for limit in (None, 0.01))
        assert_same_bits(trained(storage, 1e30, axis, grads), free)
    assert all((tight[name] != free[name]).any() for name in SHAPES)
    for isa in ISAS:
        with gs.runtime.set_isa(isa):
            for limit, expected in ((None, free), (1e30, free), (0.01, tight)):
                assert_same_bits(trained(storage, limit, axis, grads), expected)
