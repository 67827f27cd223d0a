"""What users of PyTorch would expect: the same clipping, changes and tensors."""

from __future__ import annotations

import numpy as np
import pytest

import gradstep as gs

torch = pytest.importorskip("torch", reason="torch is not installed: pip install '.[torch]'")


def test_clip_norm_equals_clip_grad_norm() -> None:
    rng = np.random.default_rng(4)
    ours = [rng.normal(size=(50, 3)), rng.normal(size=7)]
    theirs = [torch.nn.Parameter(torch.from_numpy(p.copy())) for p in ours]
    opt = gs.AdamW(ours, lr=0.01, clip_norm=1.5)
    oracle = torch.optim.AdamW(theirs, lr=0.01)
    for step in range(20):
        # The first norms are below the limit, the others above it.
        grads = [rng.normal(size=p.shape) * 0.02 * (step + 1) for p in ours]
        for tensor, grad in zip(theirs, grads, strict=True):
            tensor.grad = torch.from_numpy(grad.copy())
        norm = torch.nn.utils.clip_grad_norm_(theirs, 1.5)
        oracle.step()
        info = opt.step(grads)
        assert info.grad_norm == pytest.approx(norm.item(), rel=1e-13)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b.detach().numpy(), rtol=1e-12)


def test_scheduled_and_changed_hyperparameters_equal_torch() -> None:
    rng = np.random.default_rng(5)
    ours = [rng.normal(size=100)]
    theirs = [torch.nn.Parameter(torch.from_numpy(p.copy())) for p in ours]
    opt = gs.SGD(ours, lr=lambda step: 0.1 / (step + 1), momentum=0.9)
    oracle = torch.optim.SGD(theirs, lr=0.1, momentum=0.9)
    for step in range(30):
        if step == 10:
            opt.momentum = 0.5
            oracle.param_groups[0]["momentum"] = 0.5
        oracle.param_groups[0]["lr"] = 0.1 / (step + 1)
        grad = rng.normal(size=100)
        theirs[0].grad = torch.from_numpy(grad.copy())
        opt.step([grad])
        oracle.step()
    np.testing.assert_allclose(ours[0], theirs[0].detach().numpy(), rtol=1e-12)


def test_torch_tensors_as_gradients() -> None:
    w = np.zeros((2, 3), np.float32)
    grad = torch.arange(6, dtype=torch.float32).reshape(2, 3)
    gs.SGD(w, lr=1.0).step(grad)
    np.testing.assert_array_equal(w, -grad.numpy())
    gs.SGD(w, lr=1.0).step(grad.T.contiguous().T.to(torch.float64))
    np.testing.assert_array_equal(w, -2 * grad.numpy())


def test_a_tensor_that_numpy_cannot_read_is_refused() -> None:
    w = np.zeros(3, np.float32)
    opt = gs.SGD(w, lr=1.0)
    with pytest.raises(TypeError, match=r"gradient '0' is a Tensor that cannot be read as a CPU"):
        opt.step(torch.zeros(3).to_sparse())
    with pytest.raises(TypeError, match=r"Convert it: g\.detach\(\)"):
        opt.step(torch.zeros(3, requires_grad=True))
