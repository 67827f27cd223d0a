"""What a loop does beside the step, with gradients and parameters in half precision."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradstep as gs
from tests.helpers import Array, assert_same_bits, everything

ml_dtypes = pytest.importorskip("ml_dtypes")

pytestmark = pytest.mark.usefixtures("backend")

DTYPES = ["bfloat16", "float16"]


def gradients(dtype: str, step: int = 0) -> dict[str, Array]:
    rng = np.random.default_rng(step)
    return {
        "w": np.asfortranarray(rng.normal(size=(40, 50)).astype(dtype)),
        "b": rng.normal(size=3).astype(dtype),
    }


def wide(grads: dict[str, Array]) -> dict[str, Array]:
    return {name: g.astype(np.float32) for name, g in grads.items()}


@pytest.mark.parametrize("dtype", DTYPES)
def test_sums_are_in_float32(dtype: str) -> None:
    total, expected = gs.GradientSum(), gs.GradientSum()
    for step in range(3):
        total.add(gradients(dtype, step))
        expected.add(wide(gradients(dtype, step)))
    assert_same_bits(total.grads, expected.grads)
    assert all(g.dtype == np.float32 for g in total.grads.values())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "limits",
    [{"norm": 0.3}, {"tensor_norm": 0.7}, {"value": 0.1}, {"adaptive": 0.01}, {}],
    ids=lambda limits: next(iter(limits), "none"),
)
def test_limits_are_those_of_float32_rounded_once(dtype: str, limits: dict[str, Any]) -> None:
    params = {name: g + g for name, g in gradients(dtype, 1).items()}
    of = [{"params": params}, {"params": wide(params)}] if "adaptive" in limits else [{}, {}]
    grads = gradients(dtype)
    before = {name: g.copy() for name, g in grads.items()}
    clipped, norm = gs.clip_grads(grads, **limits, **of[0])
    expected, same_norm = gs.clip_grads(wide(grads), **limits, **of[1])
    assert norm == same_norm == gs.global_norm(grads)
    assert_same_bits(clipped, {name: g.astype(dtype) for name, g in expected.items()})
    assert_same_bits(grads, before)
    changed = any((clipped[name] != grads[name]).any() for name in grads)
    assert changed == bool(limits)


def test_tensors_in_bfloat16() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed: pip install '.[torch]'")
    tensor = torch.tensor([3.0, 4.0]).bfloat16()
    assert gs.global_norm(tensor) == 5.0
    total = gs.GradientSum()
    total.add([tensor])
    total.add([tensor])
    np.testing.assert_array_equal(total.grads[0], [6.0, 8.0])


class TestLossScaler:
    @pytest.mark.parametrize("rounding", ["nearest", "stochastic", "kahan"])
    def test_parameters_in_float16(self, rounding: str) -> None:
        params = [gradients("float16", 9) for _ in range(2)]
        plain, scaled = (gs.SGD(p, lr=0.1, momentum=0.9, rounding=rounding) for p in params)
        scaler = gs.LossScaler(init_scale=1024.0)
        for step in range(4):
            grads = gradients("float16", step)
            given = {name: np.float16(scaler.scale) * g for name, g in grads.items()}
            if step == 2:
                given["b"][0] = np.inf
                before = everything(scaled)
                assert scaler.step(scaled, given).skipped
                assert_same_bits(everything(scaled), before)
            else:
                scaler.step(scaled, given)
                plain.step(grads)
        assert_same_bits(everything(scaled), everything(plain))

    @pytest.mark.parametrize("of_torch", [False, True])
    def test_bfloat16_needs_none(self, of_torch: bool) -> None:
        grads: dict[str, Any] = gradients("bfloat16") | {"none": None}
        if of_torch:
            torch = pytest.importorskip("torch", reason="pip install '.[torch]'")
            grads = {n: torch.ones(g.shape).bfloat16() for n, g in gradients("float32").items()}
            grads["none"] = None
        opt = gs.SGD(wide(gradients("bfloat16")) | {"none": np.ones(2)}, lr=0.1)
        scaler = gs.LossScaler()
        before, state = everything(opt), scaler.state_dict()
        with pytest.raises(TypeError, match=r"all of these are bfloat16, .*skip_nonfinite=True\)"):
            scaler.step(opt, grads)
        assert_same_bits(everything(opt), before)
        assert scaler.state_dict() == state
        scaler.step(opt, grads | {"b": np.ones(3, np.float16)})
        scaler.step(opt, dict.fromkeys(grads))
        assert opt.steps == 2
