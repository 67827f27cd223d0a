"""SOAP against pytorch_optimizer's, and what its bases are."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from tests.directions.problems import gradients, params

pytestmark = pytest.mark.usefixtures("backend")


class InFloat64:
    """PyTorch for theirs, which else makes all bases orthonormal in float32."""

    def __init__(self, torch: Any) -> None:
        self._torch, self.float32 = torch, torch.float64

    def __getattr__(self, name: str) -> Any:
        return getattr(self._torch, name)


# Sides that are longer than the others have factors of less than full rank, at first, and of the
# rest of their eigenvectors any may be taken: so they are left as they are here.
SHORT = {"max_precondition_dim": 35, "weight_decay": 0.0, "lr": 0.01}
OPTIONS: dict[str, dict[str, Any]] = {
    "first_bases": {**SHORT, "precondition_frequency": 100},
    "default": SHORT,
    "often": {**SHORT, "precondition_frequency": 1, "betas": (0.9, 0.99)},
    "factors": {**SHORT, "shampoo_beta": 0.8, "precondition_frequency": 3},
    "eps": {**SHORT, "eps": 0.01},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
def test_equals_pytorch_optimizer(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    theirs_of = pytest.importorskip("pytorch_optimizer", reason="it is not installed")
    module = importlib.import_module("pytorch_optimizer.optimizer.soap")
    monkeypatch.setattr(module, "torch", InFloat64(torch))
    names = ("square", "wide", "tall", "fortran", "bias")
    ours = {name: p for name, p in params("float64").items() if name in names}
    tensors = {n: torch.nn.Parameter(torch.from_numpy(p.copy())) for n, p in ours.items()}
    theirs = theirs_of.SOAP(tensors.values(), **options)
    opt = gs.SOAP(ours, **options)
    for step in range(25):
        grads = gradients(ours, step)
        opt.step(grads)
        for name, tensor in tensors.items():
            tensor.grad = torch.from_numpy(grads[name].copy())
        theirs.step()
    for name, tensor in tensors.items():
        apart = np.abs(ours[name] - tensor.detach().numpy()).max()
        assert apart <= 1e-10, (name, apart)


def test_equals_heavyball(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of square matrices, whose bases are unique but for signs, made anew in every step: theirs are
    due in other steps than ours where not all are."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    heavyball = pytest.importorskip("heavyball", reason="it is not installed")
    monkeypatch.setattr(heavyball.utils, "compile_mode", None)
    square = params("float64")["square"]
    ours = {"square": square, "small": square[:5, :5].copy()}
    tensors = {n: torch.nn.Parameter(torch.from_numpy(p.copy())) for n, p in ours.items()}
    options = {"lr": 0.01, "betas": (0.9, 0.95), "precondition_frequency": 1, "weight_decay": 0.0}
    theirs = heavyball.SOAP(
        tensors.values(),
        **options,
        shampoo_beta=0.95,
        use_precond_schedule=False,
        storage_dtype="float64",
    )
    opt = gs.SOAP(ours, **options)
    for step in range(10):
        grads = gradients(ours, step)
        opt.step(grads)
        for name, tensor in tensors.items():
            tensor.grad = torch.from_numpy(grads[name].copy())
        theirs.step()
    for name, tensor in tensors.items():
        apart = np.abs(ours[name] - tensor.detach().numpy()).max()
        assert apart <= 4e-7, (name, apart)  # their betas are float32


def test_bases_stay_orthonormal_and_become_eigenvectors() -> None:
    """Of a gradient that stays the same but for its sign, in float32."""
    rng = np.random.default_rng(0)
    w = np.zeros((12, 20), np.float32)
    sizes = np.linspace(4.0, 1.0, 12)
    left, right = (np.linalg.qr(rng.normal(size=(n, n)))[0] for n in (12, 20))
    grad = np.float32((left * sizes) @ right[:12])
    opt = gs.SOAP(w, precondition_frequency=2)
    for step in range(60):
        opt.step(grad if step % 2 else -grad)
    state = opt.state["0"]
    for side, length in (("left", 12), ("right", 20)):
        factor, basis = state[f"{side}_factor"], state[f"{side}_basis"]
        np.testing.assert_allclose(basis.T @ basis, np.eye(length), atol=1e-5)
        rotated = basis.T @ factor @ basis
        np.testing.assert_allclose(rotated, np.diag(np.diag(rotated)), atol=1e-4)


def test_weight_decay_and_kernels_with_axes_beyond_two() -> None:
    """A kernel is stepped as the matrix it is seen as; decay shrinks it first."""
    kernel = params("float64")["kernel"]
    matrix, shrunk = kernel.reshape(8, -1).copy(), kernel.copy()
    one, other = gs.SOAP(kernel, weight_decay=0.0), gs.SOAP(matrix, weight_decay=0.0)
    third = gs.SOAP(shrunk, lr=0.1, weight_decay=0.5)
    for step in range(12):
        grad = gradients({"kernel": kernel}, step)["kernel"]
        one.step(grad)
        other.step(grad.reshape(8, -1))
        if step == 0:
            before = shrunk.copy()
            third.step(grad)
            np.testing.assert_array_equal(shrunk, (1 - 0.1 * 0.5) * before)
    np.testing.assert_array_equal(kernel.reshape(8, -1), matrix)
    assert one.state["0"]["right_basis"].shape == (75, 75)


def test_bases_begin_anew_where_more_is_rotated() -> None:
    opt = gs.SOAP({"w": np.ones((6, 9))}, max_precondition_dim=7)
    grads = [{"w": g} for g in np.random.default_rng(0).normal(size=(4, 6, 9))]
    opt.step(grads[0])
    assert opt.state["w"]["right_basis"].shape == (0, 0)
    left = opt.state["w"]["left_basis"].copy()
    opt.max_precondition_dim = 10
    assert opt.state["w"]["right_basis"].shape == (9, 9)
    np.testing.assert_array_equal(opt.state["w"]["left_basis"], left)
    for grad in grads[1:]:
        opt.step(grad)
    basis = opt.state["w"]["right_basis"]
    np.testing.assert_allclose(basis.T @ basis, np.eye(9), atol=1e-12)
