"""Steps with the gradient of a worse point: the equations, and parameters put back to the bit."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from gradstep.arrays.memory import flat
from tests.helpers import Array, assert_rounded, assert_same_bits, everything

pytestmark = pytest.mark.usefixtures("backend")

Kind = Callable[[Any], Any]
KINDS: dict[str, Kind] = {
    "SAM": lambda opt: gs.SAM(opt, rho=0.3),
    "ASAM": lambda opt: gs.ASAM(opt, rho=0.3, eta=0.1),
}
BOTH = pytest.mark.parametrize("kind", KINDS)


def problem(dtype: str = "float32") -> dict[str, Array]:
    rng = np.random.default_rng(3)
    shapes = {"W": (40, 30), "b": (30,), "s": (), "none": (0,)}
    params = {n: np.asarray(rng.normal(size=s).astype(dtype)) for n, s in shapes.items()}
    return params | {"F": np.asfortranarray(rng.normal(size=(7, 5)).astype(dtype))}


def loss_of(params: dict[str, Array]) -> tuple[float, dict[str, Array]]:
    """Σ(p⁴/4 + p), and its gradients."""
    return (
        float(sum(np.sum(p.astype(np.float64) ** 4) / 4 + p.sum() for p in params.values())),
        {name: p**3 + p.dtype.type(1) for name, p in params.items()},
    )


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


class Stop(BaseException):
    """As an interrupt, no Exception."""


def nth(n: int, params: dict[str, Array], act: Callable[[Any], Any]) -> Callable[[], Any]:
    """A closure with another result the n-th time."""
    calls = []

    def closure() -> Any:
        calls.append(1)
        result = loss_of(params)
        return act(result) if len(calls) == n else result

    return closure


def throw(error: BaseException) -> Callable[[Any], Any]:
    def act(result: Any) -> Any:
        raise error

    return act


def poisoned(result: Any) -> Any:
    result[1]["b"][3] = np.nan
    return result


RAISES: dict[str, tuple[Callable[[Any], Any], type[BaseException], str]] = {
    "an error": (throw(KeyError("mine")), KeyError, "mine"),
    "an interrupt": (throw(KeyboardInterrupt("stop")), KeyboardInterrupt, "stop"),
    "an exit": (throw(Stop("now")), Stop, "now"),
    "no tuple": (lambda r: r[0], TypeError, r"closure must return a tuple \(loss, grads\)"),
    "no number": (lambda r: ("low", r[1]), TypeError, "with a number as loss, got 'low'"),
    "a list": (lambda r: (r[0], [1]), TypeError, "grads must be a dict with the keys 'W', 'b'"),
    "a key less": (
        lambda r: (r[0], {"W": r[1]["W"]}),
        ValueError,
        "grads has no entry for 'b', 's', 'none', 'F'",
    ),
    "a shape": (
        lambda r: (r[0], r[1] | {"b": np.ones(3)}),
        ValueError,
        r"gradient 'b' has shape \(3,\); expected \(30,\)",
    ),
}


@BOTH
@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("what", RAISES)
def test_whatever_a_closure_does_parameters_are_as_before(kind: str, n: int, what: str) -> None:
    params = problem()
    opt = KINDS[kind](gs.AdamW(params, lr=0.1))
    opt.step(lambda: loss_of(params))
    before = everything(opt)
    act, error, match = RAISES[what]
    with pytest.raises(error, match=match):
        opt.step(nth(n, params, act))
    assert_same_bits(everything(opt), before)
    assert opt.steps == 1
    assert not opt.step(lambda: loss_of(params)).skipped


@BOTH
@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("what", [lambda r: (np.nan, r[1]), lambda r: (np.inf, r[1]), poisoned])
def test_what_is_not_finite_is_skipped(kind: str, n: int, what: Callable[[Any], Any]) -> None:
    params = problem()
    opt = KINDS[kind](gs.AdamW(params, lr=0.1))
    opt.step(lambda: loss_of(params))
    before = everything(opt)
    assert opt.step(nth(n, params, what)).skipped
    assert_same_bits(everything(opt), before)
    assert opt.steps == 1


def test_gradients_of_other_parameters_the_second_time_are_an_error() -> None:
    params = problem()
    opt = gs.SAM(gs.AdamW(params))
    before = everything(opt)
    with pytest.raises(ValueError, match=r"for the same parameters both times.*\['b'\] had one"):
        opt.step(nth(1, params, lambda r: (r[0], r[1] | {"b": None})))
    assert_same_bits(everything(opt), before)


@BOTH
def test_a_closure_may_not_step_nor_load(kind: str) -> None:
    w = np.ones(2)
    inner = gs.SGD(w)
    opt = KINDS[kind](inner)
    acts: list[Callable[[], Any]] = [
        lambda: opt.step(closure),
        lambda: inner.step(np.ones(2)),
        lambda: inner.load_state_dict(inner.state_dict()),
        lambda: opt.add_group({"params": [np.ones(1)]}),
    ]
    calls: list[int] = []

    def closure() -> Any:
        for act in acts:
            with pytest.raises(RuntimeError, match=rf"busy with {kind}.step\(\)"):
                act()
        calls.append(1)
        return 1.0, np.ones(2)

    opt.step(closure)
    assert len(calls) == 2


def test_what_would_be_lost_is_refused() -> None:
    params = problem()
    opt, stopping = gs.SAM(gs.SGD(params)), gs.EarlyStopping()
    stopping.update(1.0, params)
    before = everything(opt)

    def restore(result: Any) -> Any:
        stopping.restore(params)

    with pytest.raises(RuntimeError, match=r"for the time of SAM.step\(\)"):
        opt.step(nth(2, params, restore))
    assert_same_bits(everything(opt), before)


def test_a_closure_cannot_take_the_parameters_memory_away() -> None:
    w = np.ones(100_000)
    opt = gs.SAM(gs.SGD(w, lr=0.5))
    calls = []

    def closure() -> Any:
        calls.append(1)
        if len(calls) == 2:
            with pytest.raises(ValueError, match="resize"):
                w.resize(200_000, refcheck=False)
            w.flags.writeable = False
        return 1.0, np.ones(100_000)

    with pytest.raises(ValueError, match=r"read-only|no longer the writeable"):
        opt.step(closure)
    np.testing.assert_array_equal(w, 1.0)


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


def failing(closure: Callable[[], Any]) -> Callable[[], Any]:
    calls: list[int] = []

    def act() -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise KeyError
        return closure()

    return act


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
