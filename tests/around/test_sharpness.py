"""Steps with the gradient of a worse point: the equations, and parameters put back to the bit."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from gradstep.arrays.memory import flat
from tests.around.sharp import BOTH, KINDS, failing, loss_of, problem
from tests.helpers import Array, assert_rounded, assert_same_bits, everything

pytestmark = pytest.mark.usefixtures("backend")


def by_hand(params: dict[str, Array], eta: float | None, rho: float) -> dict[str, Array]:
    """The gradients at the worse point, in float64."""
    wide = {name: p.astype(np.float64) for name, p in params.items()}
    grads = {name: p**3 + 1 for name, p in wide.items()}
    size = {n: np.ones_like(p) if eta is None else np.abs(p) + eta for n, p in wide.items()}
    norm = np.sqrt(sum(np.sum((size[n] * g) ** 2) for n, g in grads.items()))
    worse = {n: p + rho / norm * size[n] ** 2 * grads[n] for n, p in wide.items()}
    return {name: p**3 + 1 for name, p in worse.items()}


@BOTH
@pytest.mark.parametrize(("dtype", "rtol"), [("float32", 2e-5), ("float64", 1e-12)])
def test_it_is_the_equation(kind: str, dtype: str, rtol: float) -> None:
    params = problem(dtype)
    before = {name: p.copy(order="K") for name, p in params.items()}
    opt = KINDS[kind](gs.SGD(params, lr=0.5))
    info = opt.step(lambda: loss_of(params))
    grads = by_hand(before, None if kind == "SAM" else 0.1, 0.3)
    for name, grad in grads.items():
        np.testing.assert_allclose(params[name], before[name] - 0.5 * grad, rtol=rtol, atol=rtol)
    assert info.loss == loss_of(before)[0]
    assert not info.skipped
    norm = np.sqrt(sum(np.sum(g**2) for g in grads.values()))
    assert info.grad_norm == pytest.approx(norm, rel=1e-6)


@BOTH
def test_it_agrees_with_pytorch_optimizer(kind: str) -> None:
    torch = pytest.importorskip("torch", reason="pip install '.[oracles]'")
    oracles = pytest.importorskip("pytorch_optimizer", reason="pip install '.[oracles]'")
    params = problem("float64")
    del params["none"]
    theirs = {n: torch.nn.Parameter(torch.from_numpy(p.copy())) for n, p in params.items()}
    oracle = oracles.SAM(
        list(theirs.values()), torch.optim.AdamW, rho=0.3, adaptive=kind == "ASAM",
        lr=0.01, weight_decay=0.02,
    )  # fmt: skip
    inner = gs.AdamW(params, lr=0.01, weight_decay=0.02)
    opt = gs.SAM(inner, rho=0.3) if kind == "SAM" else gs.ASAM(inner, rho=0.3, eta=0.0)

    def closure() -> Any:
        oracle.zero_grad()
        loss = sum((p**4 / 4 + p).sum() for p in theirs.values())
        loss.backward()
        return loss

    for _ in range(10):
        loss = float(closure().detach())
        oracle.step(closure)
        assert opt.step(lambda: loss_of(params)).loss == pytest.approx(loss, rel=1e-10)
    for name, param in params.items():  # its norm is in float32
        np.testing.assert_allclose(param, theirs[name].detach().numpy(), rtol=1e-8)


@BOTH
def test_arrays_may_be_used_again_and_gradients_may_be_of_any_form(kind: str) -> None:
    params, plain = problem(), problem()
    room = {name: np.empty_like(p) for name, p in params.items()}

    def reusing() -> Any:
        loss, grads = loss_of(params)
        for name, grad in grads.items():
            room[name][...] = grad
        return loss, room

    def turned() -> Any:
        loss, grads = loss_of(plain)
        return loss, grads | {"W": np.asfortranarray(grads["W"])}

    opt, twin = (KINDS[kind](gs.AdamW(p, lr=0.1)) for p in (params, plain))
    for _ in range(3):
        opt.step(reusing)
        twin.step(turned)
    assert_same_bits(everything(opt), everything(twin))


@BOTH
def test_maximize_goes_to_a_lower_value(kind: str) -> None:
    w = np.array([2.0, -1.0])
    seen = []

    def closure() -> Any:
        seen.append(float(w[0]))
        return 0.0, np.array([1.0, 0.0])

    KINDS[kind](gs.SGD(w, lr=0.1, maximize=True)).step(closure)
    assert seen[1] < seen[0]
    np.testing.assert_allclose(w, [2.1, -1.0])


def test_without_gradients_it_stays_and_a_factor_changes_nothing() -> None:
    w, v = np.ones(2), np.ones(2)
    assert gs.SAM(gs.SGD(w)).step(lambda: (1.0, np.zeros(2))).loss == 1.0
    np.testing.assert_array_equal(w, 1.0)
    gs.SAM(gs.SGD(w, lr=0.1)).step(lambda: (1.0, w**3))
    gs.SAM(gs.SGD(v, lr=0.1)).step(lambda: (1.0, 1024 * v**3), grad_scale=1 / 1024)
    np.testing.assert_array_equal(w, v)


def test_parameters_without_gradient_stay() -> None:
    params = {"a": np.ones(2), "b": np.ones(2)}
    seen = []

    def closure() -> Any:
        seen.append(params["b"].copy())
        return 1.0, {"a": params["a"].copy(), "b": None}

    gs.SAM(gs.SGD(params, lr=0.1)).step(closure)
    np.testing.assert_array_equal(seen, 1.0)
    assert (params["a"] < 1).all()


@pytest.mark.parametrize("rounding", ["nearest", "stochastic", "kahan", "split"])
@BOTH
def test_half_parameters_are_put_back_to_the_bit(kind: str, rounding: str) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="pip install '.[test]'")
    params = {"w": np.linspace(-2, 2, 777).astype(ml_dtypes.bfloat16)}
    opt = KINDS[kind](gs.SGD(params, lr=0.01, rounding=rounding))

    def closure() -> Any:
        seen.append(params["w"].copy())
        return 1.0, {"w": params["w"].astype(np.float32) ** 3}

    for _ in range(3):
        seen: list[Array] = []
        before = params["w"].copy()
        twin = copy.deepcopy(opt.optimizer)
        opt.step(closure)
        np.testing.assert_array_equal(seen[0], before)
        assert (seen[1] != before).mean() > 0.2
        twin.step({"w": seen[1].astype(np.float32) ** 3})
        assert_same_bits(everything(opt), everything(twin))


def test_copies_follow_to_the_point_and_back() -> None:
    w = np.linspace(-2, 2, 300, dtype=np.float32)
    copies = w.astype(np.float16)
    opt = gs.SAM(gs.SGD(w, lr=0.01, copies=copies), rho=0.5)
    seen = []

    def closure() -> Any:
        assert_rounded({"0": copies}, {"0": w})
        seen.append(copies.copy())
        return 1.0, copies.astype(np.float32) ** 3

    opt.step(closure)
    assert (seen[0] != seen[1]).any()
    assert_rounded({"0": copies}, {"0": w})
    before = copies.copy()
    with pytest.raises(KeyError):
        opt.step(failing(closure))
    np.testing.assert_array_equal(copies, before)


def test_nothing_but_the_parameters_bits_counts() -> None:
    """Not-a-numbers with a payload, denormals and signed zeros come back as they were."""
    bits = np.array([0x7FC12345, 0x00000001, 0x80000000, 0xFF800000, 0x3F800000], np.uint32)
    w = bits.view(np.float32).copy()
    opt = gs.SAM(gs.SGD(w))
    with gs.runtime.set_flush_denormals(True), pytest.raises(KeyError):
        opt.step(failing(lambda: (1.0, np.ones(5, np.float32))))
    np.testing.assert_array_equal(flat(w).view(np.uint32), bits)


def test_copies_and_states_are_the_inner_ones() -> None:
    params = problem()
    opt = gs.ASAM(gs.AdamW(params, lr=0.1), rho=0.2, eta=0.3)
    opt.step(lambda: loss_of(params))
    assert opt.state_dict().keys() == opt.optimizer.state_dict().keys()
    twin = copy.deepcopy(opt)
    assert (twin.rho, twin.eta, twin.lr) == (0.2, 0.3, 0.1)
    its = dict(twin.params)
    for _ in range(2):
        opt.step(lambda: loss_of(params))
        twin.step(lambda: loss_of(its))
    assert_same_bits(everything(twin), everything(opt))
    assert repr(opt).startswith("ASAM(AdamW(")
    assert repr(opt).endswith("rho=0.2, eta=0.3)")


def test_they_go_into_one_another() -> None:
    params, plain = problem(), problem()
    one = gs.Lookahead(gs.SAM(gs.SGD(params, lr=0.01)), k=2)
    other = gs.SAM(gs.Lookahead(gs.SGD(plain, lr=0.01), k=2))
    for _ in range(5):
        one.step(lambda: loss_of(params))
        info = other.step(lambda: loss_of(plain))
    assert_same_bits(params, plain)
    assert info.loss is not None
    assert one.steps == other.steps == 5


def test_illegal_settings_are_named() -> None:
    opt = gs.SGD(np.ones(2))
    for cls in (gs.SAM, gs.ASAM):
        with pytest.raises(ValueError, match="rho must be a finite number ≥ 0, got -1"):
            cls(opt, rho=-1.0)
    with pytest.raises(TypeError, match="eta must be a finite number ≥ 0, got None"):
        gs.ASAM(opt, eta=None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"closure must be a function that returns \(loss, grads\)"):
        gs.SAM(opt).step(np.ones(2))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="opt must be an optimizer of gradstep's"):
        gs.SAM(np.ones(2))
