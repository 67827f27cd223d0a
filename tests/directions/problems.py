"""Matrices, kernels of convolutions and vectors, and gradients for them."""

from __future__ import annotations

from typing import Any

import numpy as np

import gradstep as gs
from tests.helpers import Array

SHAPES: dict[str, tuple[int, ...]] = {
    "wide": (13, 40), "tall": (67, 31), "square": (32, 32), "row": (1, 9), "column": (9, 1),
    "kernel": (8, 3, 5, 5), "empty": (0, 4), "bias": (129,), "scalar": (),
}  # fmt: skip
REST = ("bias", "scalar")


def params(dtype: str = "float32", seed: int = 0) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    made = {name: np.array(rng.normal(size=s), dtype) for name, s in SHAPES.items()}
    made["fortran"] = np.asfortranarray(rng.normal(size=(29, 53)).astype(dtype))
    return made


def gradients(of: dict[str, Array], step: int) -> dict[str, Any]:
    rng = np.random.default_rng(1000 + step)
    return {name: np.array(rng.normal(0.1, 1.0, p.shape), p.dtype) for name, p in of.items()}


def muon(of: dict[str, Array], rest: dict[str, Any] | None = None, **options: Any) -> gs.Muon:
    """Muon for the matrices, and AdamW, or what `rest` says, for the rest."""
    rest = {"optimizer": "adamw", "lr": 0.01} | (rest or {})
    return gs.Muon(of, groups=[(lambda name, p: p.ndim < 2, rest)], **options)
