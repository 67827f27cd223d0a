"""8-bit state against independent implementations, whose codes are others.

Codes cannot be compared, and what steps make of them only so far as both kinds err. So: the first
step, which is computed before anything is rounded, is float32's; what both store of it differs by
at most what both formats err by; and training with them is as near to float32 training as theirs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradstep as gs
from tests.helpers import Array
from tests.narrow import unpacked

torch = pytest.importorskip("torch", reason="torch is not installed: pip install '.[torch]'")

SIZE, BLOCK, STEPS = 4096, 256, 100
ADAMW: dict[str, Any] = {"lr": 0.01, "betas": (0.9, 0.99), "eps": 1e-8, "weight_decay": 0.1}
LION: dict[str, Any] = {"lr": 0.003, "betas": (0.9, 0.99), "weight_decay": 0.1}
FLOAT = 2.0**-24


def start() -> Array:
    return np.random.default_rng(0).normal(size=SIZE).astype(np.float32)


class Problem:
    """A quadratic one, badly conditioned, whose gradients are noisy."""

    def __init__(self) -> None:
        rng = np.random.default_rng(1)
        self.curvature = 10.0 ** rng.uniform(-3, 0, SIZE)
        self.target = rng.normal(size=SIZE)

    def gradient(self, params: Array, step: int) -> Array:
        noise = np.random.default_rng(step + 2).normal(size=SIZE) * np.sqrt(self.curvature)
        return (self.curvature * (params - self.target) + 0.1 * noise).astype(np.float32)

    def loss(self, params: Array) -> float:
        return float(np.mean(self.curvature * (params - self.target) ** 2) / 2)


class Theirs:
    """A step over one tensor, and its state in float32 by our names."""

    def __init__(self, name: str, method: str) -> None:
        self.tensor = torch.nn.Parameter(torch.from_numpy(start()))
        options = ADAMW if method == "AdamW" else LION
        if name == "torchao":
            library = pytest.importorskip("torchao.optim", reason="torchao is not installed")
            self.opt = library.AdamW8bit([self.tensor], **options)
        elif name == "bitsandbytes":
            library = pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed")
            self.opt = getattr(library.optim, f"{method}8bit")([self.tensor], **options)
        else:
            self.flash = pytest.importorskip(
                "pytorch_optimizer.optimizer.flash_adamw", reason="pytorch-optimizer is missing"
            )
            self.opt = self.flash.FlashAdamW([self.tensor], **options)
        self.name = name

    @property
    def params(self) -> Array:
        array: Array = self.tensor.detach().numpy()
        return array

    def step(self, grad: Array) -> None:
        self.tensor.grad = torch.from_numpy(grad.copy())
        with torch.compiler.set_stance("force_eager"):
            self.opt.step()

    def moment(self, name: str) -> Array:
        kept = self.opt.state[self.tensor]
        if self.name == "torchao":
            return kept[name].dequantize().numpy()
        if self.name == "flashadamw":
            return self.flash.materialize_state(kept, name).numpy()
        n = 1 if name == "exp_avg" else 2
        codes, levels, largest = (kept[f"{key}{n}"].numpy() for key in ("state", "qmap", "absmax"))
        return levels[codes] * np.repeat(largest, BLOCK)

    def error(self, name: str, values: Array) -> Array:
        """The most that what is stored is away from these values, in float64."""
        if self.name == "flashadamw":
            return error_of_companding(name, values)
        if self.name == "torchao":
            levels = self.opt.state[self.tensor][name].qmap.numpy().astype(np.float64)
            look_up = 0.0
        else:
            levels = self.opt.state[self.tensor][f"qmap{1 if name == 'exp_avg' else 2}"].numpy()
            look_up = 2.0**-15  # its table has 65,536 entries for what is in [−1, 1]
        largest = largest_of(values, BLOCK)
        return (half_of_gap(levels.astype(np.float64), values / largest) + look_up) * largest


def largest_of(values: Array, block: int) -> Array:
    return np.repeat(np.abs(values).reshape(-1, block).max(1), block)


def half_of_gap(levels: Array, values: Array) -> Array:
    """Between the two levels that each value is between."""
    above = np.searchsorted(levels, values).clip(1, levels.size - 1)
    between = (levels[above] - levels[above - 1]) / 2
    return np.maximum(between, np.abs(values - values.clip(levels[0], levels[-1])))


def error_of_companding(name: str, values: Array) -> Array:
    """Of groups of 32, whose scales are float16 and err by 2⁻¹¹. A signed x is c/127 of
    2x/(1 + |x|), whose slope is at least 1/2: x errs by 1/127. The root of a square is c/255, errs
    by 1/510, and its square by twice that and the scale's error, times the root."""
    largest = largest_of(values, 32)
    if name == "exp_avg":
        return largest / 127 + 2.0**-11 * np.abs(values)
    of_root = np.sqrt(largest) * (1 / 510 + 2.0**-11)
    return of_root * (2 * np.sqrt(values) + of_root)


def our_error(name: str, values: Array) -> Array:
    """As tests/engine/test_packing8.py derives it."""
    least = 2.0**-18 / (1.8125 * 2.0**-8 if name == "exp_avg" else 1.8125)
    return np.maximum(np.abs(values) / 16, least * largest_of(values, BLOCK))


CASES = [
    ("torchao", "AdamW"),
    ("bitsandbytes", "AdamW"),
    ("bitsandbytes", "Lion"),
    ("flashadamw", "AdamW"),
]


def ours(method: str, **options: Any) -> gs.Optimizer:
    given = ADAMW if method == "AdamW" else LION
    opt: gs.Optimizer = getattr(gs, method)({"w": start()}, **given, **options)
    return opt


@pytest.mark.parametrize(("library", "method"), CASES)
def test_the_first_step(library: str, method: str) -> None:
    """Moments are those of the gradient alone. AdamW moves by lr, of which 20 operations err."""
    grad = Problem().gradient(start(), 0)
    opt, theirs = ours(method, state_dtype="8bit"), Theirs(library, method)
    opt.step({"w": grad})
    theirs.step(grad)
    bound = FLOAT * (6 * np.abs(start()) + 20 * opt.lr)
    assert (np.abs(opt.params["w"].astype(np.float64) - theirs.params) <= bound).all()
    wide = grad.astype(np.float64)
    exact = {"exp_avg": (0.1 if method == "AdamW" else 0.01) * wide, "exp_avg_sq": 0.01 * wide**2}
    state = opt.state["w"]
    for name, format in (("exp_avg", "moments8"), ("exp_avg_sq", "squares8")):
        if name in state:
            mine = unpacked(format, state[name], state[f"{name}_scale"]).astype(np.float64)
            apart = np.abs(mine - theirs.moment(name))
            allowed = our_error(name, exact[name]) + theirs.error(name, exact[name])
            # Scaled, and scaled back, on both sides.
            assert (apart <= allowed + 4 * FLOAT * np.abs(exact[name])).all()


@pytest.mark.parametrize(("library", "method"), CASES)
def test_training_is_as_near_to_float32_as_theirs(library: str, method: str) -> None:
    """AdamW's parameters are nearer to float32's. Lion's are further off, two or three times, as
    codes of few bits change more of the signs that it moves by; but the loss is as good."""
    problem = Problem()
    opt, plain, theirs = ours(method, state_dtype="8bit"), ours(method), Theirs(library, method)
    for step in range(STEPS):
        for one in (opt, plain):
            one.step({"w": problem.gradient(one.params["w"], step)})
        theirs.step(problem.gradient(theirs.params, step))

    def away(params: Array) -> float:
        if method == "Lion":
            return problem.loss(params) - problem.loss(plain.params["w"])
        return float(np.sqrt(np.mean((params - plain.params["w"]) ** 2)))

    assert 0 < away(opt.params["w"]) <= away(theirs.params)
