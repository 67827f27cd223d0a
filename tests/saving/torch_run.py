"""The same training with torch.optim and here."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradstep as gs
from tests.helpers import Array

torch = pytest.importorskip("torch", reason="torch is not installed: pip install '.[torch]'")

SHAPES = [(57,), (3, 4, 5), ()]


def start(dtype: str, cls: type[gs.Optimizer] = gs.SGD) -> list[Array]:
    """In column-major order, but for optimizers that know rows and columns."""
    rng = np.random.default_rng(3)
    params = [np.array(rng.normal(size=shape), dtype) for shape in SHAPES]
    of_matrices = any(slot.factors for slot in cls.method.slots.values())
    return [p if of_matrices or p.ndim < 2 else np.asfortranarray(p) for p in params]


def gradients(step: int, dtype: str) -> list[Any]:
    rng = np.random.default_rng(step)
    grads: list[Any] = [np.array(rng.normal(0.3, 1.0, shape), dtype) for shape in SHAPES]
    if step % 3 == 1:
        grads[1] = None
    return grads


def tensors_of(params: list[Array]) -> list[Any]:
    return [torch.nn.Parameter(torch.from_numpy(p.copy())) for p in params]


def torch_steps(opt: Any, tensors: list[Any], first: int, last: int) -> None:
    for step in range(first, last):
        dtype = str(tensors[0].dtype).removeprefix("torch.")
        for tensor, grad in zip(tensors, gradients(step, dtype), strict=True):
            tensor.grad = None if grad is None else torch.from_numpy(grad)
        opt.step()


def our_steps(opt: gs.Optimizer, first: int, last: int) -> None:
    for step in range(first, last):
        opt.step(gradients(step, str(opt.params["0"].dtype)))
