"""What a training loop needs beside the step: norms, clipping, scaling, stopping, batches."""

from __future__ import annotations

from collections.abc import Callable
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


def test_loss_scaler_equals_plain_training_and_backs_off() -> None:
    rng = np.random.default_rng(0)
    plain, scaled = np.ones(100, np.float32), np.ones(100, np.float32)
    opts = [gs.SGD(p, lr=0.1, momentum=0.9) for p in (plain, scaled)]
    scaler = gs.LossScaler(init_scale=1024.0, growth_interval=3)
    scales = []
    for step in range(10):
        grad = rng.normal(size=100).astype(np.float16)
        bad = step in (4, 5)
        given = np.float16(scaler.scale) * grad
        if bad:
            given[7] = np.inf
            before = everything(opts[1])
        info = scaler.step(opts[1], given)
        assert info.skipped == bad
        if bad:
            assert_same_bits(everything(opts[1]), before)
        else:
            opts[0].step(grad)
        scales.append(scaler.scale)
        if step == 6:
            other = gs.LossScaler(growth_interval=3)
            other.load_state_dict(scaler.state_dict())
            scaler = other
    assert scales == [1024, 1024, 2048, 2048, 1024, 512, 512, 512, 1024, 1024]
    assert opts[1].steps == 8
    np.testing.assert_array_equal(plain, scaled)  # scales are powers of two


def test_loss_scaler_grows_and_backs_off_like_torch() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    theirs = torch.amp.GradScaler("cpu", init_scale=256.0, growth_interval=4)
    ours = gs.LossScaler(init_scale=256.0, growth_interval=4)
    param = torch.nn.Parameter(torch.zeros(2))
    torch_opt = torch.optim.SGD([param], lr=0.0)
    opt = gs.SGD(np.zeros(2, np.float32), lr=0.0)
    rng = np.random.default_rng(0)
    for _ in range(60):
        grad = np.float32([1.0, np.inf if rng.random() < 0.2 else 1.0])
        theirs.scale(torch.zeros(1))
        param.grad = torch.from_numpy(grad.copy())
        theirs.step(torch_opt)
        theirs.update()
        ours.step(opt, grad)
        assert ours.scale == theirs.get_scale()


def test_early_stopping_restores_the_best() -> None:
    params = {"w": np.zeros(3), "layers": [np.asfortranarray(np.zeros((2, 3)))]}
    stopping = gs.EarlyStopping(patience=2, min_delta=0.1, mode="max")
    stopped = None
    for step, metric in enumerate([0.1, 0.5, 0.55, np.nan, 0.45, 0.9]):
        params["w"] += 1
        params["layers"][0][...] += 2
        if stopping.update(metric, params):
            stopped = step
            break
    assert stopped == 4
    assert stopping.best == 0.5
    stopping.restore(params)
    np.testing.assert_array_equal(params["w"], np.full(3, 2.0))
    np.testing.assert_array_equal(params["layers"][0], np.full((2, 3), 4.0))
    with pytest.raises(ValueError, match=r"params must be those of update\(\)"):
        stopping.restore({"w": np.zeros(4)})
    with pytest.raises(RuntimeError, match="no parameters were kept"):
        gs.EarlyStopping().restore(params)


def test_minibatches_cover_everything_once_and_repeat() -> None:
    x, y = np.arange(20.0).reshape(10, 2), np.arange(10)

    def epoch(**options: Any) -> list[np.ndarray]:
        batches = list(gs.minibatches([x, y], 3, **options))
        for inputs, labels in batches:
            np.testing.assert_array_equal(inputs[:, 0], 2.0 * labels)
        return [labels for _, labels in batches]

    rng = np.random.default_rng
    assert [len(labels) for labels in epoch()] == [3, 3, 3, 1]
    assert [len(labels) for labels in epoch(drop_last=True)] == [3, 3, 3]
    assert sorted(np.concatenate(epoch(rng=rng(1)))) == list(range(10))
    np.testing.assert_array_equal(
        np.concatenate(epoch(rng=rng(1))), np.concatenate(epoch(rng=rng(1)))
    )
    view, _ = next(gs.minibatches([x, y], 4))
    assert np.shares_memory(view, x)
    assert len(list(gs.minibatches([x], 10**6))) == 1


BAD: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "norm": (lambda: gs.clip_grads([np.ones(1)], norm=0.0), ValueError, "norm must be a finite"),
    "params": (lambda: gs.clip_grads([np.ones(1)], adaptive=0.1), TypeError, "adaptive needs par"),
    "shapes": (
        lambda: gs.clip_grads([np.ones(1)], adaptive=0.1, params=[np.ones(2)]),
        ValueError,
        "params must have the shapes of grads",
    ),
    "growth": (lambda: gs.LossScaler(growth_factor=1.0), ValueError, "growth_factor must be"),
    "backoff": (lambda: gs.LossScaler(backoff_factor=1.0), ValueError, "backoff_factor must be"),
    "scaler": (lambda: gs.LossScaler().load_state_dict({}), ValueError, "must hold scale and"),
    "patience": (lambda: gs.EarlyStopping(patience=-1), ValueError, "patience must be an integer"),
    "mode": (lambda: gs.EarlyStopping(mode="up"), ValueError, "mode must be 'min' or 'max'"),  # type: ignore[arg-type]
    "metric": (lambda: gs.EarlyStopping().update("x", []), TypeError, "metric must be a number"),  # type: ignore[arg-type]
    "arrays": (lambda: gs.minibatches([], 1), TypeError, "arrays must be a list of at least one"),
    "lengths": (
        lambda: gs.minibatches([np.ones(3), np.ones(4)], 1),
        ValueError,
        r"arrays must have the same first length, got \[3, 4\]",
    ),
    "batch": (lambda: gs.minibatches([np.ones(3)], 0), ValueError, "batch_size must be an integ"),
    "rng": (lambda: gs.minibatches([np.ones(3)], 1, rng=0), TypeError, "rng must be a numpy.ran"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("case", BAD)
def test_bad_parameters(case: str) -> None:
    make, error, text = BAD[case]
    with pytest.raises(error, match=text):
        make()


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
