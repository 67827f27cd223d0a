"""Loss scaling against plain training and PyTorch's GradScaler."""

from __future__ import annotations

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
