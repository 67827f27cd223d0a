"""Independent implementations behind one interface: make it, give it gradients, read parameters."""

from __future__ import annotations

import inspect
import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

Array = NDArray[Any]


class Oracle:
    """What an oracle is asked."""

    def change(self, factors: dict[str, float]) -> None:
        """Multiply factors into hyperparameters."""

    def step(self, grads: list[Array]) -> None:
        """Take a step."""

    def params(self) -> list[Array]:
        """The parameters now."""
        raise NotImplementedError

    def close(self) -> None:
        """Undo what was set for the whole process."""


class TorchLike(Oracle):
    """torch.optim, and libraries of optimizers for PyTorch."""

    def __init__(self, library: str, name: str, params: list[Array], options: dict[str, Any]):
        self.torch = pytest.importorskip("torch", reason="torch is not installed")
        if library == "torch":
            module = self.torch.optim
        else:
            module = pytest.importorskip(library, reason=f"{library} is not installed")
        make = getattr(module, name)
        if "foreach" in inspect.signature(make).parameters:
            options = {**options, "foreach": False}
        # Step sizes that PyTorch keeps as tensors have the default dtype; ours are float64.
        self.torch.set_default_dtype(self.torch.float64)
        self.tensors = [self.torch.nn.Parameter(self.torch.from_numpy(p.copy())) for p in params]
        self.opt = make(self.tensors, **options)
        if library == "schedulefree":
            self.opt.train()

    def close(self) -> None:
        self.torch.set_default_dtype(self.torch.float32)

    def change(self, factors: dict[str, float]) -> None:
        for name, factor in factors.items():
            for group in self.opt.param_groups:
                group[name] = scaled(group[name], factor)

    def step(self, grads: list[Array]) -> None:
        for tensor, grad in zip(self.tensors, grads, strict=True):
            tensor.grad = self.torch.from_numpy(np.array(grad))
        self.opt.step()

    def params(self) -> list[Array]:
        return [tensor.detach().numpy() for tensor in self.tensors]


class Optax(Oracle):
    """optax, with lr outside of what it computes where that stands last in its chain."""

    def __init__(self, name: str, params: list[Array], lr: float, options: dict[str, Any]):
        optax = pytest.importorskip("optax", reason="optax is not installed")
        jax = pytest.importorskip("jax", reason="jax is not installed")
        jax.config.update("jax_enable_x64", True)
        self.jnp = jax.numpy
        self.lr = lr
        options = dict(options)
        if name == "velocity":
            make = optax.chain(
                optax.scale_by_learning_rate(self._lr),
                optax.trace(options.pop("momentum"), **options),
            )
        elif options.pop("late_lr", False):
            momentum, nesterov = options.pop("momentum"), options.pop("nesterov")
            centered = options.pop("centered", False)
            scale = optax.scale_by_stddev if centered else optax.scale_by_rms
            make = optax.chain(
                scale(**options),
                optax.trace(momentum, nesterov),
                optax.scale_by_learning_rate(self._lr),
            )
        else:
            make = getattr(optax, name)(self._lr, **options)
        self.opt, self.apply = make, optax.apply_updates
        self.values = [self.jnp.asarray(p) for p in params]
        self.state = self.opt.init(self.values)

    def _lr(self, step: Any) -> float:
        return self.lr

    def change(self, factors: dict[str, float]) -> None:
        for name, factor in factors.items():
            setattr(self, name, getattr(self, name) * factor)

    def step(self, grads: list[Array]) -> None:
        given = [self.jnp.asarray(g) for g in grads]
        updates, self.state = self.opt.update(given, self.state, self.values)
        self.values = self.apply(self.values, updates)

    def params(self) -> list[Array]:
        return [np.asarray(value) for value in self.values]


class Twin(Oracle):
    """Plain Python, one element at a time, in float64."""

    def __init__(self, rule: str, params: list[Array], h: dict[str, Any]):
        self.values = [p.astype(np.float64) for p in params]
        self.h = h
        self.t = 0
        self.twin = {
            "ftrl": ftrl,
            "adabelief_amsgrad": adabelief_amsgrad,
            "adam": adam_as_keras,
            "laprop": laprop,
            "laprop_amsgrad": laprop,
        }[rule]
        self.states: list[list[dict[str, float]]] = [[{} for _ in range(p.size)] for p in params]

    def change(self, factors: dict[str, float]) -> None:
        for name, factor in factors.items():
            self.h[name] = scaled(self.h[name], factor)

    def step(self, grads: list[Array]) -> None:
        self.t += 1
        for values, grad, states in zip(self.values, grads, self.states, strict=True):
            shrink = 1.0
            if self.h["decoupled_weight_decay"]:
                shrink -= self.h["lr"] * self.h["weight_decay"]
            flat = [shrink * p for p in values.reshape(-1).tolist()]
            given = np.asarray(grad, np.float64).reshape(-1).tolist()
            moves = [
                self.twin(self.h, self.t, p, g, state)
                for p, g, state in zip(flat, given, states, strict=True)
            ]
            if self.h.get("cautious"):
                suit = [move * g > 0 for move, g in zip(moves, given, strict=True)]
                scale = len(suit) / (sum(suit) + 1)
                moves = [m * scale if s else 0.0 for m, s in zip(moves, suit, strict=True)]
            values.reshape(-1)[:] = np.subtract(flat, moves)

    def params(self) -> list[Array]:
        return self.values


State = dict[str, float]


def ftrl(h: dict[str, Any], t: int, p: float, g: float, state: State) -> float:
    z, n = state.get("z", 0.0), state.get("n", h["initial_accumulator_value"])
    sigma = (math.sqrt(n + g * g) - math.sqrt(n)) / h["lr"]
    z += g - sigma * p
    n += g * g
    state.update(z=z, n=n)
    if abs(z) <= h["l1"]:
        return p
    denominator = (h["beta"] + math.sqrt(n)) / h["lr"] + h["l2"]
    return p + (z - math.copysign(h["l1"], z)) / denominator


def adam_as_keras(h: dict[str, Any], t: int, p: float, g: float, state: State) -> float:
    beta1, beta2 = h["betas"]
    m = beta1 * state.get("m", 0.0) + (1 - beta1) * g
    v = beta2 * state.get("v", 0.0) + (1 - beta2) * g * g
    state.update(m=m, v=v)
    alpha = h["lr"] * math.sqrt(1 - beta2**t) / (1 - beta1**t)
    return alpha * m / (math.sqrt(v) + h["eps"])


def adabelief_amsgrad(h: dict[str, Any], t: int, p: float, g: float, state: State) -> float:
    beta1, beta2 = h["betas"]
    m = beta1 * state.get("m", 0.0) + (1 - beta1) * g
    s = beta2 * state.get("s", 0.0) + (1 - beta2) * (g - m) ** 2 + h["eps_root"]
    largest = max(s, state.get("largest", 0.0))
    state.update(m=m, s=s, largest=largest)
    return h["lr"] * m / (1 - beta1**t) / (math.sqrt(largest / (1 - beta2**t)) + h["eps"])


def laprop(h: dict[str, Any], t: int, p: float, g: float, state: State) -> float:
    beta1, beta2 = h["betas"]
    v = beta2 * state.get("v", 0.0) + (1 - beta2) * g * g
    largest = max(v, state.get("largest", 0.0)) if h["amsgrad"] else v
    normed = g / (math.sqrt(largest / (1 - beta2**t)) + h["eps"])
    m = beta1 * state.get("m", 0.0) + (1 - beta1) * normed
    state.update(m=m, v=v, largest=largest)
    return h["lr"] * m / (1 - beta1**t)


def scaled(value: Any, factor: float) -> Any:
    return tuple(v * factor for v in value) if isinstance(value, tuple) else value * factor
