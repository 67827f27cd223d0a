"""Norms, limits and sums of gradients, nested at will, for loops of one's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradstep as gs
from tests.helpers import assert_same_bits, everything


@pytest.mark.usefixtures("backend")
def test_global_norm_is_the_one_that_a_step_reports() -> None:
    rng = np.random.default_rng(0)
    grads = {"w": rng.normal(size=(300, 70)).astype("f"), "b": rng.normal(size=5001)}
    opt = gs.SGD({name: g.copy() for name, g in grads.items()}, lr=0.0)
    assert gs.global_norm(grads) == opt.step(grads, with_norm=True).grad_norm
    assert gs.global_norm([None, [grads["b"][::2]]]) == pytest.approx(
        np.linalg.norm(grads["b"][::2]), rel=1e-14
    )
    assert gs.global_norm(np.float16([3.0, 4.0])) == 5.0
    with pytest.raises(TypeError, match=r"gradient 'a\.1' is a list|gradient 'a\.1' is a str"):
        gs.global_norm({"a": [np.ones(1), "x"]})


def test_clip_grads_equals_torch() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    rng = np.random.default_rng(0)
    grads = [rng.normal(size=(30, 7)), rng.normal(size=11)]
    kept = [g.copy() for g in grads]
    tensors = [torch.nn.Parameter(torch.zeros(g.shape, dtype=torch.float64)) for g in grads]
    for tensor, grad in zip(tensors, grads, strict=True):
        tensor.grad = torch.from_numpy(grad.copy())
    norm = torch.nn.utils.clip_grad_norm_(tensors, 2.0)
    clipped, ours = gs.clip_grads(grads, norm=2.0)
    assert ours == pytest.approx(norm.item(), rel=1e-14)
    for a, b in zip(clipped, tensors, strict=True):
        np.testing.assert_allclose(a, b.grad.numpy(), rtol=1e-14)
    torch.nn.utils.clip_grad_value_(tensors, 0.05)
    clipped, _ = gs.clip_grads(grads, norm=2.0, value=0.05)
    for a, b in zip(clipped, tensors, strict=True):
        np.testing.assert_allclose(a, b.grad.numpy(), rtol=1e-14)
    for grad, before in zip(grads, kept, strict=True):
        np.testing.assert_array_equal(grad, before)


def test_clip_grads_by_tensor_and_by_unit() -> None:
    grads: dict[str, Any] = {"w": np.array([[3.0, 0.3], [4.0, 0.4]]), "b": None}
    clipped, norm = gs.clip_grads(grads, tensor_norm=1.0)
    assert norm == gs.global_norm(grads)
    assert gs.global_norm(clipped) == pytest.approx(1.0, rel=1e-6)
    assert clipped["b"] is None
    # Units are columns: parameter norms 1 and 10, gradient norms 5 and 0.5, limit a tenth.
    params = {"w": np.array([[1.0, 10.0], [0.0, 0.0]]), "b": None}
    clipped, _ = gs.clip_grads(grads, adaptive=0.1, params=params)
    np.testing.assert_allclose(clipped["w"], [[0.06, 0.3], [0.08, 0.4]], rtol=1e-12)
    # A parameter near zero may still move, by eps.
    clipped, _ = gs.clip_grads([np.ones(4)], adaptive=0.1, params=[np.zeros(4)], eps=0.5)
    assert gs.global_norm(clipped) == pytest.approx(0.05)


@pytest.mark.usefixtures("backend")
def test_clipped_gradients_keep_their_structure_and_dtype() -> None:
    grads = {
        "pair": (np.float32([3.0]), [np.array(4.0, np.float32), None]),
        "big": np.array([[0.5, 1.0]], ">f8", order="F"),
    }
    limits = [{}, {"norm": 1.0}, {"tensor_norm": 1.0}, {"value": 0.5}, {"adaptive": 0.1}]
    for limit in limits:
        numpy_limit: Any = {name: np.float64(number) for name, number in limit.items()}
        for options in (limit, numpy_limit):
            clipped, _ = gs.clip_grads(grads, params=grads, **options)
            assert type(clipped["pair"]) is tuple
            assert type(clipped["pair"][1]) is list
            assert clipped["pair"][1][1] is None
            for kept, given in (
                (clipped["pair"][0], grads["pair"][0]),
                (clipped["pair"][1][0], grads["pair"][1][0]),
                (clipped["big"], grads["big"]),
            ):
                assert type(kept) is np.ndarray
                assert (kept.dtype, kept.shape) == (given.dtype, given.shape)
                assert not np.shares_memory(kept, given)
    total = gs.GradientSum()
    total.add(grads)
    total.add({"pair": list(grads["pair"]), "big": grads["big"]})
    assert type(total.grads["pair"]) is tuple
    np.testing.assert_array_equal(total.grads["big"], [[1.0, 2.0]])


SAME_PATHS: list[Any] = [
    {"a.b": np.ones(1), "a": {"b": np.ones(1)}},
    {1: np.ones(1), "1": None},
]


@pytest.mark.parametrize("grads", SAME_PATHS, ids=["a.b", "1"])
def test_two_gradients_of_one_name_are_refused(grads: Any) -> None:
    total = gs.GradientSum()
    for call in (total.add, gs.global_norm, gs.clip_grads):
        with pytest.raises(
            ValueError, match=r"both named '(a\.b|1)'; rename one of their dict keys"
        ):
            call(grads)
    assert total.count == 0


def test_masked_gradients_are_refused() -> None:
    masked = {"w": np.ma.masked_array([1.0, 9.0], mask=[False, True])}
    for call in (gs.GradientSum().add, gs.global_norm, gs.clip_grads):
        with pytest.raises(TypeError, match="gradient 'w' is a masked array"):
            call(masked)


@pytest.mark.usefixtures("backend")
def test_a_sum_of_micro_batches_is_one_batch() -> None:
    rng = np.random.default_rng(0)
    parts = [{"w": [rng.normal(size=(5, 3)).astype("f")], "b": None} for _ in range(4)]
    parts[2]["b"] = rng.normal(size=2)
    whole, summed = ({"w": [np.ones((5, 3), "f")], "b": np.ones(2)} for _ in range(2))
    opts = [gs.AdamW(params, lr=0.1) for params in (whole, summed)]
    total = gs.GradientSum()
    for _ in range(2):
        for part in parts:
            total.add(part)
        opts[1].step(total.grads, grad_scale=1 / total.count)
        w = ((parts[0]["w"][0] + parts[1]["w"][0]) + parts[2]["w"][0]) + parts[3]["w"][0]
        opts[0].step({"w": [w], "b": parts[2]["b"]}, grad_scale=0.25)
        held = total.grads["w"][0]
        total.clear()
    assert_same_bits(everything(opts[0]), everything(opts[1]))
    total.add(parts[0])
    assert total.grads["w"][0] is held
    assert total.grads["b"] is None


def test_a_sum_refuses_what_does_not_fit_and_keeps_what_it_has() -> None:
    total = gs.GradientSum()
    with pytest.raises(RuntimeError, match=r"call add\(\) first"):
        _ = total.grads
    total.add([np.ones(2), np.float16([1.0])])
    wrong: list[tuple[Any, type[Exception], str]] = [
        ([np.ones(2)], ValueError, "structure of those before"),
        ([np.ones(2), np.ones(3)], ValueError, r"gradient '1' has shape \(3,\); expected \(1,\)"),
        ([np.ones(2), np.ones(1, int)], TypeError, "gradient '1' .* dtype int64"),
    ]
    for grads, error, message in wrong:
        with pytest.raises(error, match=message):
            total.add(grads)
    assert total.count == 1
    np.testing.assert_array_equal(total.grads[0], np.ones(2))
    assert total.grads[1].dtype == np.float32


@pytest.mark.usefixtures("backend")
def test_gradients_that_overflowed_are_no_errors() -> None:
    """As in a step: a scaled loss makes them now and then, and warnings may be errors."""
    total = gs.GradientSum()
    for sign in (1, -1):
        total.add([np.ones(1), np.float32([sign * np.inf, sign])])
    assert total.count == 2
    np.testing.assert_array_equal(total.grads[0], [2.0])
    np.testing.assert_array_equal(total.grads[1], [np.nan, 0.0])
    huge = [np.array([np.inf, 1.0]), np.array([1e200])]
    assert gs.global_norm(huge) == gs.global_norm(huge[1:]) == np.inf
    params = [np.ones(2), np.ones(1)]
    for limits in ({"norm": 1.0}, {"tensor_norm": 1.0}, {"adaptive": 1.0, "params": params}):
        clipped, norm = gs.clip_grads(huge, **limits)
        np.testing.assert_array_equal(clipped[0], [np.nan, 0.0])
        assert norm == np.inf
    np.testing.assert_array_equal(gs.clip_grads(np.float16([6.0]), value=1e9)[0], [6.0])
