"""Against independent implementations, to the tightest tolerance that holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradstep as gs
from tests.oracles import Optax, TorchLike, Twin, scaled
from tests.spec import Spec, Variant
from tests.specs import CASE_IDS, CASES

STEPS = 120
SHAPES = [(257,), (13, 7), (3, 4, 5), ()]


def make_oracle(spec: Spec, variant: Variant, opt: gs.Optimizer) -> Any:
    params = list(opt.params.values())
    options = variant.options if variant.oracle_options is None else variant.oracle_options
    library, _, name = (variant.oracle or spec.oracle).partition(".")
    if library == "twin":
        return Twin(variant.rule, params, opt.groups[0].at(0).copy())
    if library == "optax":
        return Optax(name, params, opt.groups[0]["lr"], options)
    if spec.cls is gs.Signum:
        options = {"lr": 1e-3}
    return TorchLike(library, name, params, options)


def gradients(step: int, dtype: str) -> list[np.ndarray]:
    """Noise, a drift, and zeros here and there."""
    rng = np.random.default_rng(step)
    grads = [np.array(rng.normal(0.3, 1.0, shape), dtype) for shape in SHAPES]
    grads[0][step % 5 :: 50] = 0.0
    return grads


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("spec", "variant"), CASES, ids=CASE_IDS)
def test_equals_its_oracle(spec: Spec, variant: Variant, dtype: str) -> None:
    rng = np.random.default_rng(3)
    ours = [np.array(rng.normal(size=shape), dtype) for shape in SHAPES]
    opt = spec.cls(ours, **variant.options)
    oracle = make_oracle(spec, variant, opt)
    try:
        for step in range(STEPS):
            if step == STEPS // 2:
                oracle.change(spec.changes)
                for name, factor in spec.changes.items():
                    setattr(opt, name, scaled(getattr(opt, name), factor))
            grads = gradients(step, dtype)
            opt.step(grads)
            oracle.step(grads)
    finally:
        oracle.close()
    theirs = oracle.params()
    largest = max(float(np.max(np.abs(b))) for b in theirs)
    error = max(float(np.max(np.abs(a - b))) for a, b in zip(ours, theirs, strict=True))
    assert error <= spec.tolerance[dtype] * largest, f"relative error {error / largest:.2e}"
