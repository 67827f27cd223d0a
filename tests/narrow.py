"""Parameters and state in narrow formats, for the tests."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradstep as gs
from gradstep.arrays.parts import whole
from gradstep.method.rows import draws, key_of
from gradstep.reference import RULES
from gradstep.reference.draws import FIRST_SLOT, Drawn, Draws, Halfway, OfRun
from gradstep.reference.packing import PACKINGS
from tests.gradient_forms import bfloat16
from tests.helpers import Array, everything

needs_bfloat16 = pytest.mark.skipif(bfloat16 is None, reason="ml_dtypes is not installed")

# Dtype of the parameters and options, of everything that a step stores narrow.
STORAGES: dict[str, tuple[Any, dict[str, Any]]] = {
    "float16": ("float16", {}),
    "float16 stochastic": ("float16", {"rounding": "stochastic", "seed": 11}),
    "float16 kahan": ("float16", {"rounding": "kahan"}),
    "float32, state bfloat16": ("float32", {"state_dtype": "bfloat16"}),
    "float32, state float16": ("float32", {"state_dtype": "float16"}),
    "float32, state 8bit": ("float32", {"state_dtype": "8bit"}),
}
if bfloat16 is not None:
    STORAGES |= {
        "bfloat16": (bfloat16, {}),
        "bfloat16 stochastic": (bfloat16, {"rounding": "stochastic", "seed": 7}),
        "bfloat16 kahan": (bfloat16, {"rounding": "kahan"}),
        "bfloat16 split": (bfloat16, {"rounding": "split"}),
        "bfloat16, state bfloat16": (bfloat16, {"state_dtype": "bfloat16"}),
        "bfloat16 split, state 8bit": (bfloat16, {"rounding": "split", "state_dtype": "8bit"}),
    }

# Rules whose state 8 bits, or float16, cannot hold.
NOT_IN_8BIT = {
    "adagrad", "asgd", "ftrl", "rprop", "rmsprop_centered", "rmsprop_centered_momentum",
    "rmsprop_centered_nesterov", "prodigy", "schedule_free_sgd", "schedule_free_adam",
}  # fmt: skip
IN_FLOAT16 = {
    "asgd", "ftrl", "lion", "rprop", "sgd", "sgd_momentum", "sgd_nesterov", "sgd_velocity",
    "sgd_velocity_nesterov", "signsgd", "signum", "adagrad", "lars", "lars_nesterov",
    "schedule_free_sgd", "novograd",
}  # fmt: skip


def can_be_stored(rule: str, options: dict[str, Any]) -> bool:
    state = options.get("state_dtype")
    if not RULES[rule].slots:
        return True
    return state != "8bit" or rule not in NOT_IN_8BIT if state != "float16" else rule in IN_FLOAT16


def all_halves() -> Array:
    """Every pattern of 16 bits."""
    return np.arange(2**16, dtype=np.uint32).astype(np.uint16)


def awkward_floats() -> Array:
    """Float32 values at which rounding to 16 bits could go wrong: each bfloat16 and float16, the
    middle between it and the next, and what lies on both sides of these; any patterns besides."""
    of_bfloat16 = all_halves().astype(np.uint32) << np.uint32(16)
    of_float16 = all_halves().view(np.float16).astype(np.float32).view(np.uint32)
    near = [of_bfloat16 + np.uint32(d) for d in (0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF)]
    # The middles between denormals of float16 are halves of its smallest one.
    odd = (np.arange(2048, dtype=np.float32) * np.float32(2.0**-25)).view(np.uint32)
    for middle in (of_float16, of_float16 + np.uint32(0x1000), odd, odd | np.uint32(0x80000000)):
        near += [middle - np.uint32(1), middle, middle + np.uint32(1)]
    anything = np.random.default_rng(0).integers(0, 2**32, 100_000, np.uint32)
    return np.concatenate([*near, anything]).view(np.float32)


def bits(array: Array) -> Array:
    return array.view(f"u{array.dtype.itemsize}")


def raw(opt: gs.Optimizer) -> dict[str, Array]:
    """Everything that a step may change, 16 bits as they are: each NaN of theirs is one pattern."""
    arrays = everything(opt)
    return {name: bits(a) if a.dtype.itemsize == 2 else a for name, a in arrays.items()}


def written(values: Array, dtype: Any, **options: Any) -> gs.Optimizer:
    """An optimizer after a step whose new parameter values are these float32, −0 as 0."""
    opt = gs.SGD({"w": np.zeros(values.size, dtype)}, lr=1.0, maximize=True, **options)
    opt.step({"w": values})
    return opt


class Always(Halfway):
    """The same draw for all: 0 rounds towards zero, and 2³² − 1 away from it."""

    def __init__(self, bits: int) -> None:
        self.bits = np.array([bits], np.uint32)

    def hashed(self) -> Array:
        return self.bits >> np.uint32(16)

    def dithered(self, numbered_in_memory: bool = False) -> Array:
        return self.bits


HALFWAY, TOWARDS_ZERO, AWAY = Halfway(), Always(0), Always(2**32 - 1)
ANY_DRAWS = [HALFWAY, TOWARDS_ZERO, AWAY]


def drawn_by(param: Array, step: int = 1, seed: int = 0, array: int = FIRST_SLOT) -> Drawn:
    """For an array, the first slot say, of a parameter of the name "w"."""
    return OfRun(Draws(draws(seed, step), key_of("w"), whole(param)), array, slice(0, param.size))


def packed(format: str, values: Array, drawn: Drawn = HALFWAY) -> tuple[Array, Array | None]:
    """What the reference stores for these float32 values, and what beside."""
    with np.errstate(all="ignore"):
        stored, beside = PACKINGS[format].pack(values, drawn)
    return stored, beside


def unpacked(format: str, stored: Array, beside: Array | None = None) -> Array:
    with np.errstate(all="ignore"):
        return PACKINGS[format].unpack(stored, beside)
