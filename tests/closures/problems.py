"""Losses with gradients, and twins of ours in PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.helpers import Array

Problem = tuple[Callable[[dict[str, Array]], tuple[float, dict[str, Array]]], dict[str, Array]]


def rosenbrock() -> Problem:
    def loss(p: dict[str, Array]) -> tuple[float, dict[str, Array]]:
        a, b = 1 - p["x"][0], p["x"][1] - p["x"][0] ** 2
        return float(a**2 + 100 * b**2), {"x": np.array([-2 * a - 400 * p["x"][0] * b, 200 * b])}

    return loss, {"x": np.array([-1.2, 1.0])}


def quadratic(size: int = 30) -> Problem:
    """½·(p − c)ᵀ·A·(p − c) over two arrays, with eigenvalues from 1 to 100."""
    rng = np.random.default_rng(1)
    basis = np.linalg.qr(rng.normal(size=(size, size)))[0]
    matrix = basis * np.geomspace(1, 100, size) @ basis.T
    centre, first = rng.normal(size=size), size // 3

    def loss(p: dict[str, Array]) -> tuple[float, dict[str, Array]]:
        off = np.concatenate([p["w"].ravel(), p["b"]]) - centre
        g = matrix @ off
        return float(off @ g / 2), {"w": g[: 2 * first].reshape(first, 2), "b": g[2 * first :]}

    return loss, {"w": np.zeros((first, 2)), "b": np.zeros(size - 2 * first)}


def logistic() -> Problem:
    """Logistic regression of three classes, with a penalty."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(120, 6))
    labels = (x @ rng.normal(size=(6, 3)) + rng.normal(size=(120, 3))).argmax(axis=1)
    target = np.eye(3)[labels]

    def loss(p: dict[str, Array]) -> tuple[float, dict[str, Array]]:
        logits = x @ p["w"] + p["b"]
        logits = logits - logits.max(axis=1, keepdims=True)
        odds = np.exp(logits)
        odds /= odds.sum(axis=1, keepdims=True)
        error = (odds - target) / len(x)
        entropy = -np.log(odds[np.arange(len(x)), labels]).mean()
        penalty = 0.005 * (p["w"] ** 2).sum()
        return float(entropy + penalty), {"w": x.T @ error + 0.01 * p["w"], "b": error.sum(axis=0)}

    return loss, {"w": np.zeros((6, 3)), "b": np.zeros(3)}


PROBLEMS: dict[str, Callable[[], Problem]] = {
    "rosenbrock": rosenbrock,
    "quadratic": quadratic,
    "logistic": logistic,
}


def torch_twin(problem: Problem, **options: Any) -> tuple[Any, Any, dict[str, Any]]:
    """An optimizer of torch's on the same problem, its closure and its parameters."""
    import torch

    loss_of, start = problem
    params = {n: torch.tensor(p.copy(), requires_grad=True) for n, p in start.items()}
    opt = torch.optim.LBFGS(list(params.values()), **options)

    def closure() -> Any:
        loss, grads = loss_of({n: p.detach().numpy() for n, p in params.items()})
        for name, param in params.items():
            param.grad = torch.tensor(grads[name])
        return torch.tensor(loss, dtype=torch.float64)

    return opt, closure, params
