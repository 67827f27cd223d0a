"""Muon against its steps in NumPy, and against PyTorch's."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from gradstep.directions import newton_schulz
from tests.directions.problems import REST, gradients, muon, params
from tests.helpers import Array

pytestmark = pytest.mark.usefixtures("backend")

COEFFICIENTS = (3.4445, -4.775, 2.0315)


def orthogonal(matrix: Array, coefficients: Any, steps: int, eps: float) -> Array:
    """Jordan's, in the type of the matrix."""
    a, b, c = (matrix.dtype.type(each) for each in coefficients)
    x = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    x = x / max(np.linalg.norm(x), eps)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if matrix.shape[0] > matrix.shape[1] else x


class Twin:
    """The steps of Muon, one matrix at a time."""

    def __init__(self, of: dict[str, Array], **options: Any) -> None:
        self.h = {
            "lr": 1e-3, "weight_decay": 0.1, "momentum": 0.95, "nesterov": True, "eps": 1e-7,
            "ns_coefficients": COEFFICIENTS, "ns_steps": 5, "adjust_lr_fn": None,
        } | options  # fmt: skip
        self.params = {name: p.copy() for name, p in of.items() if name not in REST}
        self.buffers = {name: np.zeros_like(p) for name, p in self.params.items()}

    def step(self, grads: dict[str, Any]) -> None:
        h = self.h
        for name, p in self.params.items():
            if (g := grads[name]) is None or p.size == 0:
                continue
            mu, buffer = h["momentum"], self.buffers[name]
            buffer[...] = mu * buffer + (1 - mu) * g
            update = mu * buffer + (1 - mu) * g if h["nesterov"] else buffer
            rows = len(p)
            matrix = orthogonal(
                update.reshape(rows, -1), h["ns_coefficients"], h["ns_steps"], h["eps"]
            )
            if h["adjust_lr_fn"] == "match_rms_adamw":
                adjust = 0.2 * math.sqrt(max(matrix.shape))
            else:
                adjust = math.sqrt(max(1.0, rows / matrix.shape[1]))
            p *= 1 - h["lr"] * h["weight_decay"]
            p -= (h["lr"] * adjust * matrix).reshape(p.shape).astype(p.dtype)


OPTIONS: dict[str, dict[str, Any]] = {
    "default": {"lr": 0.02},
    "plain": {"lr": 0.02, "nesterov": False, "momentum": 0.8, "weight_decay": 0.0},
    "rms": {"lr": 0.01, "adjust_lr_fn": "match_rms_adamw"},
    "original": {"lr": 0.01, "adjust_lr_fn": "original", "weight_decay": 0.5},
    "iteration": {"lr": 0.02, "ns_steps": 8, "ns_coefficients": (2.0, -1.5, 0.5)},
    "eps": {"lr": 0.02, "eps": 30.0},
    "none": {"lr": 0.02, "ns_steps": 0},
}


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 2e-5), ("float64", 1e-12)])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
def test_equals_its_steps_in_numpy(options: dict[str, Any], dtype: str, tolerance: float) -> None:
    ours = params(dtype)
    opt, twin = muon(ours, **options), Twin(ours, **options)
    for step in range(20):
        grads = gradients(ours, step)
        if step % 3 == 2:
            grads["wide"] = None
        opt.step(grads)
        twin.step(grads)
    for name, theirs in twin.params.items():
        np.testing.assert_allclose(ours[name], theirs, rtol=0, atol=tolerance, err_msg=name)
        np.testing.assert_allclose(
            opt.state[name]["momentum_buffer"], twin.buffers[name], rtol=0, atol=tolerance
        )


BESIDE: dict[str, tuple[type[gs.Optimizer], dict[str, Any], dict[str, Any]]] = {
    "adamw": (gs.AdamW, {"betas": (0.8, 0.9), "eps": 1e-6}, {}),
    "lion": (gs.Lion, {"betas": (0.8, 0.9)}, {}),
    "sgd": (gs.SGD, {"momentum": 0.8, "nesterov": True}, {}),
    "sgd, coupled decay": (gs.SGD, {}, {"decoupled_weight_decay": False}),
}


@pytest.mark.parametrize("kind", BESIDE)
def test_the_rest_is_stepped_by_others_to_the_bit(kind: str) -> None:
    ours, theirs = params(), params()
    cls, own, shared = BESIDE[kind]
    optimizer = kind.partition(",")[0]
    shared = {"lr": 0.03, "weight_decay": 0.2, "decoupled_weight_decay": True} | shared
    of_group = {f"{optimizer}_{name}": value for name, value in own.items()}
    opt = muon(ours, {"optimizer": optimizer, **of_group, **shared}, lr=0.02)
    rest = cls({name: theirs[name] for name in REST}, **own, **shared)
    for step in range(5):
        grads = gradients(ours, step)
        opt.step(grads)
        rest.step({name: grads[name] for name in REST})
    for name in REST:
        np.testing.assert_array_equal(ours[name], theirs[name])
        assert opt.state[name].keys() == rest.state[name].keys()
        for slot, values in rest.state[name].items():
            np.testing.assert_array_equal(opt.state[name][slot], values)


@pytest.mark.parametrize("rank", [3, 40])
@pytest.mark.parametrize("shape", [(400, 1300), (900, 400)])
def test_several_iterations_at_once_are_exact_to_what_rounding_may_grow_to(
    shape: tuple[int, int], rank: int
) -> None:
    """Of oblong matrices, with singular values from 1 to 1e-8 and many that are zero but for
    rounding; symmetric products in blocks."""
    rng = np.random.default_rng(0)
    bases = [np.linalg.qr(rng.normal(size=(n, rank)))[0] for n in shape]
    grad = (bases[0] * np.logspace(0, -8, rank)) @ bases[1].T
    narrow, w = grad.astype(np.float32), np.zeros(shape, np.float32)
    gs.Muon(w, lr=1.0, weight_decay=0.0, momentum=0.0).step(narrow)
    exact = orthogonal(narrow.astype(np.float64), COEFFICIENTS, 5, 1e-7)
    apart = w / -max(1.0, math.sqrt(shape[0] / shape[1])) - exact
    share = newton_schulz.MOST_GROWTH * np.finfo(np.float32).eps
    assert 0 < np.linalg.norm(apart) <= share * np.linalg.norm(exact)


def test_the_direction_is_orthogonal_at_enough_iterations() -> None:
    w = np.zeros((20, 30))
    opt = gs.Muon(w, lr=1.0, weight_decay=0.0, ns_steps=40, ns_coefficients=(1.5, -0.5, 0.0))
    grad = np.random.default_rng(0).normal(size=(20, 30))
    opt.step(grad)
    left, _, right = np.linalg.svd(grad, full_matrices=False)
    np.testing.assert_allclose(-w, left @ right, atol=1e-12)


# PyTorch multiplies in bfloat16, whose numbers are 2^-8 apart. Rounding X, XXᵀ and what is made of
# them in each of 5 iterations leaves singular values within some 5 · 2^-8 · a of those in float32,
# where a = 3.4445, so directions of norm 1 differ by 0.07 or less; of rectangles 2 of n are tried.
BFLOAT16 = 5 * 2.0**-8 * 3.4445


@pytest.mark.parametrize("options", list(OPTIONS.values())[:4], ids=list(OPTIONS)[:4])
def test_steps_as_torch_within_bfloat16(options: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    if not hasattr(torch.optim, "Muon"):
        pytest.skip("this PyTorch has no Muon")
    ours = {name: p for name, p in params().items() if p.ndim == 2 and p.size}
    tensors = {n: torch.nn.Parameter(torch.from_numpy(p.copy())) for n, p in ours.items()}
    opt, theirs = gs.Muon(ours, **options), torch.optim.Muon(tensors.values(), **options)
    steps = 10
    for step in range(steps):
        grads = gradients(ours, step)
        opt.step(grads)
        for name, tensor in tensors.items():
            tensor.grad = torch.from_numpy(grads[name].copy())
        theirs.step()
    for name, tensor in tensors.items():
        # The spectral norm of what the two differ by, of that of steps, which are lr·adjust each.
        rows, columns = ours[name].shape
        adjust = math.sqrt(max(1.0, rows / columns))
        if options.get("adjust_lr_fn") == "match_rms_adamw":
            adjust = 0.2 * math.sqrt(max(rows, columns))
        apart = np.linalg.norm(ours[name] - tensor.detach().numpy(), 2)
        moved = steps * options["lr"] * adjust
        assert apart <= BFLOAT16 * moved, (name, apart / moved)


def test_betas_of_groups_with_adamw_have_another_name() -> None:
    with pytest.raises(TypeError, match=r"Muon has no option 'betas'.*'adamw_betas'"):
        muon(params(), {"betas": (0.9, 0.95)})


@pytest.mark.parametrize(
    ("option", "advice"),
    [
        (
            {"eps": 1e-6},
            "'eps' does nothing in a group with optimizer='adamw'; there it is 'adamw_e",
        ),
        (
            {"ns_steps": 3},
            "'ns_steps' does nothing in a group with optimizer='adamw'; leave it out",
        ),
        ({"lion_betas": (0.9, 0.9)}, "'lion_betas' does nothing .*; leave it out"),
    ],
)
def test_options_of_matrices_are_refused_in_groups_of_others(
    option: dict[str, Any], advice: str
) -> None:
    with pytest.raises(TypeError, match=advice):
        muon(params(), option)
