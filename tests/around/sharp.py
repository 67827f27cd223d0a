"""A problem with its closure, and the wrappers that evaluate it twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from tests.helpers import Array

Kind = Callable[[Any], Any]
KINDS: dict[str, Kind] = {
    "SAM": lambda opt: gs.SAM(opt, rho=0.3),
    "ASAM": lambda opt: gs.ASAM(opt, rho=0.3, eta=0.1),
}
BOTH = pytest.mark.parametrize("kind", KINDS)


def problem(dtype: str = "float32") -> dict[str, Array]:
    rng = np.random.default_rng(3)
    shapes = {"W": (40, 30), "b": (30,), "s": (), "none": (0,)}
    params = {n: np.asarray(rng.normal(size=s).astype(dtype)) for n, s in shapes.items()}
    return params | {"F": np.asfortranarray(rng.normal(size=(7, 5)).astype(dtype))}


def loss_of(params: dict[str, Array]) -> tuple[float, dict[str, Array]]:
    """Σ(p⁴/4 + p), and its gradients."""
    return (
        float(sum(np.sum(p.astype(np.float64) ** 4) / 4 + p.sum() for p in params.values())),
        {name: p**3 + p.dtype.type(1) for name, p in params.items()},
    )


def failing(closure: Callable[[], Any]) -> Callable[[], Any]:
    calls: list[int] = []

    def act() -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise KeyError
        return closure()

    return act
