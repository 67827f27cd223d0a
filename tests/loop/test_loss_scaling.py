"""Loss scaling against plain training and PyTorch's GradScaler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from tests.helpers import assert_same_bits, everything


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


def test_several_optimizers_share_a_scale_like_torch() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    theirs = torch.amp.GradScaler("cpu", init_scale=256.0, growth_interval=3)
    ours = gs.LossScaler(init_scale=256.0, growth_interval=3)
    tensors = [torch.nn.Parameter(torch.zeros(2)) for _ in range(2)]
    torch_opts = [torch.optim.SGD([tensor], lr=0.5) for tensor in tensors]
    params = [np.zeros(2, np.float32) for _ in range(2)]
    opts = [gs.SGD(param, lr=0.5) for param in params]
    rng = np.random.default_rng(0)
    for step in range(40):
        theirs.scale(torch.zeros(1))
        for i in range(2):
            grad = np.float32([ours.scale, np.inf if rng.random() < 0.2 else 1.0])
            tensors[i].grad = torch.from_numpy(grad.copy())
            theirs.step(torch_opts[i])
            ours.step(opts[i], grad, update=step % 2 == 1 and i == 1)
        theirs.update()
        if step % 2 == 0:
            ours.update()
        assert ours.scale == theirs.get_scale()
        for tensor, param in zip(tensors, params, strict=True):
            np.testing.assert_array_equal(tensor.detach().numpy(), param)


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_scale_stays_where_steps_can_be_taken(dtype: str) -> None:
    w = np.zeros(1, dtype)
    opt = gs.SGD(w, lr=1.0)
    scaler = gs.LossScaler(init_scale=2.0**120, growth_factor=8.0, growth_interval=1)
    for _ in range(10):
        scaler.step(opt, np.full(1, scaler.scale, dtype))
    assert (scaler.scale, w[0]) == (2.0**126, -10.0)
    scaler = gs.LossScaler(init_scale=2.0**-120, backoff_factor=0.01)
    for _ in range(10):
        scaler.step(opt, np.full(1, np.inf, dtype))
    scaler.step(opt, np.full(1, scaler.scale, dtype))
    assert (scaler.scale, w[0]) == (2.0**-126, -11.0)


def test_numbers_of_numpy_are_kept_as_plain_ones() -> None:
    numbers: list[Any] = [np.float32(8.0), np.int64(2), np.float16(0.5), np.int8(3)]
    scaler = gs.LossScaler(*numbers)
    scaler.load_state_dict({"scale": np.float32(4.0), "good_steps": np.int64(1)})
    state = scaler.state_dict()
    assert state == {"scale": 4.0, "good_steps": 1}
    assert [type(number) for number in state.values()] == [float, int]


BAD: dict[str, tuple[Callable[[gs.LossScaler], Any], type[Exception], str]] = {
    "text": (
        lambda scaler: scaler.step(gs.SGD(np.ones(1)), np.ones(1), grad_scale="x"),  # type: ignore[arg-type]
        TypeError,
        "grad_scale must be a finite number > 0, got 'x'",
    ),
    "flag": (
        lambda scaler: scaler.step(gs.SGD(np.ones(1)), np.ones(1), update=1),  # type: ignore[arg-type]
        TypeError,
        "update must be True or False, got 1",
    ),
    "no step": (lambda scaler: scaler.update(), RuntimeError, "no step since the last update"),
    "large": (lambda _: gs.LossScaler(1e39), ValueError, r"init_scale .* \[2\*\*-126, 2\*\*126\]"),
    "small": (lambda _: gs.LossScaler(5e-324), ValueError, "init_scale must be a number in"),
    "saved": (
        lambda scaler: scaler.load_state_dict({"scale": 1e-300, "good_steps": 0}),
        ValueError,
        r"scale must be a number in \[2\*\*-126, 2\*\*126\], got 1e-300",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_parameters(case: str) -> None:
    call, error, text = BAD[case]
    scaler = gs.LossScaler()
    with pytest.raises(error, match=text):
        call(scaler)
    assert scaler.state_dict() == gs.LossScaler().state_dict()
