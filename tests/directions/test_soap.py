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


def in_axes(opt: gs.SOAP, name: str) -> Any:
    """The momentum of a matrix in the parameter's own axes."""
    state, momentum = opt.state[name], opt.state_as(name, "exp_avg")
    matrix = momentum.reshape(len(momentum), -1)
    if np.any(state["left_basis"]):
        matrix = state["left_basis"] @ matrix
    if np.any(state["right_basis"]):
        matrix = matrix @ state["right_basis"].T
    return matrix.reshape(momentum.shape)


@pytest.mark.parametrize("options", [{}, {"max_precondition_dim": 35}, {"betas": (0.7, 0.95)}])
@pytest.mark.parametrize("frequency", [1, 3])
def test_momentum_in_the_bases_is_the_average_of_gradients(
    options: dict[str, Any], frequency: int
) -> None:
    """Through all changes of bases, of tensors that miss some steps, too."""
    ours = {n: p for n, p in params("float64").items() if p.ndim > 1 and p.size}
    opt = gs.SOAP(ours, precondition_frequency=frequency, **options)
    beta1 = opt.betas[0]
    averages = {name: np.zeros_like(p) for name, p in ours.items()}
    begun: set[str] = set()
    for step in range(8):
        grads = gradients(ours, step)
        for i, name in enumerate(ours):
            if (i + step) % 4 == 0:
                grads[name] = None
            elif name in begun:
                averages[name] += (1 - beta1) * (grads[name] - averages[name])
            else:
                begun.add(name)
        opt.step(grads)
        for name, average in averages.items():
            assert np.abs(in_axes(opt, name) - average).max() <= 1e-14, (name, step)


@pytest.mark.parametrize("storage", ["bfloat16", "8bit"])
def test_narrow_momentum_is_rounded_to_nearest_in_new_bases(storage: str) -> None:
    opt, twin = (
        gs.SOAP(np.zeros((70, 90), np.float32), precondition_frequency=1, state_dtype=dtype)
        for dtype in (storage, None)
    )
    for step in range(2):
        grad = gradients(dict(opt.params), step)["0"]
        opt.step(grad)
        twin.step(grad)
    twin.state_dtype = storage
    for key in ("exp_avg", "left_basis", "right_basis"):
        np.testing.assert_array_equal(opt.state["0"][key], twin.state["0"][key])


@pytest.mark.parametrize("state_dtype", [None, "bfloat16"])
@pytest.mark.parametrize("longest", [7, 5])
def test_momentum_is_rotated_back_where_a_basis_is_dropped(
    longest: int, state_dtype: str | None
) -> None:
    ours = {"w": np.ones((6, 9), np.float32), "f": np.ones((9, 6), np.float32, order="F")}
    opt = gs.SOAP(ours, state_dtype=state_dtype)
    for step in range(3):
        opt.step(gradients(ours, step))
    before = {name: in_axes(opt, name) for name in ours}
    opt.max_precondition_dim = longest
    for name, expected in before.items():
        assert 0 in (len(opt.state[name][f"{side}_basis"]) for side in ("left", "right"))
        atol = (1e-6 if state_dtype is None else 2.0**-9) * np.linalg.norm(expected)
        np.testing.assert_allclose(in_axes(opt, name), expected, atol=atol)
    opt.step(gradients(ours, 3))


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
