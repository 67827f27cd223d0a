"""Slow weights: the equations, what they follow, and what a wrapper is beside its optimizer."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from tests.helpers import (
    Array,
    assert_rounded,
    assert_same_bits,
    awkward_params,
    everything,
    gradients,
)

pytestmark = pytest.mark.usefixtures("backend")


def problem(dtype: str = "float32") -> dict[str, Array]:
    rng = np.random.default_rng(3)
    return {n: rng.normal(size=s).astype(dtype) for n, s in (("W", (4, 3)), ("b", (3,)))}


def by_hand(params: dict[str, Array], steps: int, k: int, alpha: float, **options: Any) -> Any:
    """The algorithm over a plain optimizer, in the arrays' own dtype."""
    fast = {name: param.copy() for name, param in params.items()}
    slow = {name: param.copy() for name, param in params.items()}
    opt = gs.AdamW(fast, **options)
    for step in range(steps):
        opt.step(gradients(fast, step))
        if (step + 1) % k == 0:
            for name, p in fast.items():
                slow[name] += p.dtype.type(alpha) * (p - slow[name])
                p[...] = slow[name]
    return fast, slow


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("k", "alpha"), [(1, 0.5), (3, 0.8), (5, 0.0), (4, 1.0)])
def test_it_is_the_algorithm(dtype: str, k: int, alpha: float) -> None:
    params = awkward_params(dtype)
    fast, slow = by_hand(params, 7, k, alpha, lr=0.1)
    opt = gs.Lookahead(gs.AdamW(params, lr=0.1), k=k, alpha=alpha)
    for step in range(7):
        info = opt.step(gradients(params, step), with_norm=True)
        assert info.grad_norm is not None
    assert_same_bits(params, fast)
    assert_same_bits(dict(opt.slow), slow)
    assert opt.steps == 7


def test_it_agrees_with_pytorch_optimizer() -> None:
    torch = pytest.importorskip("torch", reason="pip install '.[oracles]'")
    oracles = pytest.importorskip("pytorch_optimizer", reason="pip install '.[oracles]'")
    params = problem("float64")
    theirs = {n: torch.nn.Parameter(torch.from_numpy(p.copy())) for n, p in params.items()}
    adam = torch.optim.AdamW(theirs.values(), lr=0.1, weight_decay=0.02)
    oracle = oracles.Lookahead(adam, k=3, alpha=0.7)
    opt = gs.Lookahead(gs.AdamW(params, lr=0.1, weight_decay=0.02), k=3, alpha=0.7)
    for step in range(20):
        grads = gradients(params, step)
        for name, param in theirs.items():
            param.grad = torch.from_numpy(grads[name])
        oracle.step()
        opt.step(grads)
    for name, param in params.items():
        np.testing.assert_allclose(param, theirs[name].detach().numpy(), rtol=1e-12)


def test_skipped_steps_do_not_count_and_parameters_without_gradient_meet_too() -> None:
    w = {"a": np.ones(2), "b": np.ones(2)}
    opt = gs.Lookahead(gs.SGD(w, lr=1.0, skip_nonfinite=True), k=2)
    opt.step({"a": np.ones(2), "b": np.ones(2)})
    assert opt.step({"a": np.full(2, np.nan), "b": None}).skipped
    np.testing.assert_array_equal(w["a"], 0.0)
    opt.step({"a": np.ones(2), "b": None})
    np.testing.assert_array_equal(w["a"], 0.0)  # 1 + (−1 − 1)/2
    np.testing.assert_array_equal(w["b"], 0.5)


def test_an_error_changes_nothing_and_does_not_count() -> None:
    w = np.ones(2)
    opt = gs.Lookahead(gs.SGD(w, lr=1.0), k=2)
    opt.step(np.ones(2))
    with pytest.raises(ValueError, match=r"gradient '0' has shape \(3,\); expected \(2,\)"):
        opt.step(np.ones(3))
    np.testing.assert_array_equal(w, 0.0)
    np.testing.assert_array_equal(opt.slow["0"], 1.0)
    opt.step(np.ones(2))
    np.testing.assert_array_equal(w, 0.0)


def test_attributes_are_those_of_the_optimizer_within() -> None:
    params = problem()
    opt = gs.Lookahead(gs.AdamW(params, lr=0.1))
    opt.lr = 0.2
    assert opt.optimizer.lr == opt.lr == opt.groups[0]["lr"] == 0.2
    assert opt.params["W"] is params["W"]
    assert opt.state["b"].keys() == {"exp_avg", "exp_avg_sq"}
    opt.k, opt.alpha = 2, 0.25
    assert repr(opt).endswith(", k=2, alpha=0.25)")
    assert {"k", "lr", "slow", "add_group"} <= set(dir(opt))
    with pytest.raises(AttributeError, match="AdamW has no attribute 'larning_rate' to set"):
        opt.larning_rate = 0.1
    with pytest.raises(AttributeError, match="no attribute 'larning_rate'"):
        _ = opt.larning_rate
    with pytest.raises(AttributeError, match="stays around the optimizer"):
        opt.optimizer = gs.SGD(np.zeros(1))


def test_illegal_settings_are_named() -> None:
    opt = gs.SGD(np.ones(2))
    for k, kind in ((0, ValueError), (1.5, TypeError), (True, TypeError)):
        with pytest.raises(kind, match="k must be an integer ≥ 1, got"):
            gs.Lookahead(opt, k=k)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"alpha must be a number in \[0, 1\], got 1.5"):
        gs.Lookahead(opt, alpha=1.5)
    with pytest.raises(ValueError, match="alpha must be a finite number ≥ 0, got -1"):
        gs.Lookahead(opt).alpha = -1
    with pytest.raises(TypeError, match=r"opt must be an optimizer of gradstep's, got 3.*AdamW"):
        gs.Lookahead(3)
    with pytest.raises(TypeError, match="must not be a Lookahead already"):
        gs.Lookahead(gs.SAM(gs.Lookahead(opt)))


def test_groups_added_begin_at_their_parameters() -> None:
    w, b = np.ones(2, np.float32), np.ones(3, np.float32)
    opt = gs.Lookahead(gs.SGD({"w": w}, lr=1.0), k=1)
    opt.step({"w": np.ones(2)})
    opt.add_group({"params": {"b": b}, "lr": 2.0})
    opt.optimizer.add_group({"params": {"c": np.ones(1)}})
    opt.step([{"w": np.ones(2)}, {"b": np.ones(3)}, {"c": np.zeros(1)}])
    np.testing.assert_array_equal(opt.slow["b"], 0.0)
    np.testing.assert_array_equal(b, 0.0)
    assert list(opt.slow) == ["w", "b", "c"]
    assert opt.slow["c"].dtype == np.float64


def trained(opt: Any, first: int, last: int) -> dict[str, Array]:
    for step in range(first, last):
        opt.step(gradients(dict(opt.params), step))
    return everything(opt) | {f"{n}/slow": s.copy() for n, s in opt.slow.items()}


def test_state_dicts_copies_and_pickles_go_on_with_the_same_bits() -> None:
    params = problem()
    opt = gs.Lookahead(gs.AdamW(params, lr=0.1), k=3, alpha=0.8)
    trained(opt, 0, 4)
    twin = copy.deepcopy(opt)
    pickled = pickle.loads(pickle.dumps(opt))
    state, values = opt.state_dict(), {n: p.copy() for n, p in params.items()}
    expected = trained(opt, 4, 9)
    assert_same_bits(trained(twin, 4, 9), expected)
    assert_same_bits(trained(pickled, 4, 9), expected)
    loaded = gs.Lookahead(gs.AdamW(values))
    loaded.load_state_dict(state)
    assert (loaded.k, loaded.alpha, loaded.lr) == (3, 0.8, 0.1)
    assert_same_bits(trained(loaded, 4, 9), expected)
    with pytest.raises(TypeError, match="a shallow copy would share half"):
        copy.copy(opt)


def test_checkpoints_hold_both(tmp_path: Path) -> None:
    pytest.importorskip("safetensors", reason="pip install '.[checkpoint]'")
    opt = gs.Lookahead(gs.AdamW(problem(), lr=0.1), k=3)
    trained(opt, 0, 4)
    gs.save(tmp_path / "run", opt.optimizer, slow=opt.slow)
    expected = trained(opt, 4, 9)
    other = gs.Lookahead(gs.AdamW(problem(), lr=0.1))
    gs.load(tmp_path / "run", other.optimizer, slow=other.slow)
    assert other.k == 3
    assert_same_bits(trained(other, 4, 9), expected)


BREAK = {
    "alpha": (2.0, r"alpha must be a number in \[0, 1\]"),
    "k": (0, "k must be an integer ≥ 1"),
    "synced_at": (-1, "synced_at must be an integer ≥ 0"),
    "weights": ({"W": np.zeros((4, 3), np.float32)}, "the slow weights must be a dict of arrays"),
}


@pytest.mark.parametrize("part", BREAK)
def test_illegal_states_are_refused_whole(part: str) -> None:
    opt, other = (gs.Lookahead(gs.AdamW(problem(), lr=lr), k=2) for lr in (0.1, 0.5))
    trained(other, 0, 3)
    state = other.state_dict()
    state["lookahead"][part], match = BREAK[part]
    before = trained(opt, 0, 2)
    with pytest.raises(ValueError, match=match):
        opt.load_state_dict(state)
    assert opt.lr == 0.1
    assert_same_bits(trained(opt, 2, 2), before)
    with pytest.raises(ValueError, match="state_dict must hold optimizer and lookahead"):
        opt.load_state_dict(other.optimizer.state_dict())


def test_slow_weights_of_another_shape_are_refused() -> None:
    opt = gs.Lookahead(gs.SGD(np.zeros(3)))
    state = opt.state_dict()
    state["lookahead"]["weights"]["0"] = np.ones(2)
    with pytest.raises(ValueError, match=r"the slow weights of '0' in it has shape \(2,\)"):
        opt.load_state_dict(state)
    np.testing.assert_array_equal(opt.slow["0"], 0.0)


def test_parameters_hold_the_slow_weights_for_a_while() -> None:
    w = np.ones(2, np.float32)
    copies = np.ones(2, np.float16)
    opt = gs.Lookahead(gs.SGD(w, lr=1.0, copies=copies), k=5)
    opt.step(np.full(2, 0.3, np.float32))
    before = w.copy()
    with opt.swap_slow_weights():
        np.testing.assert_array_equal(w, 1.0)
        np.testing.assert_array_equal(copies, 1.0)
        with pytest.raises(RuntimeError, match=r"busy with swap_slow_weights\(\)"):
            opt.step(np.ones(2))
    np.testing.assert_array_equal(w, before)
    np.testing.assert_array_equal(opt.slow["0"], 1.0)
    assert_rounded({"0": copies}, {"0": w})


@pytest.mark.parametrize("rounding", ["nearest", "stochastic", "kahan", "split"])
def test_slow_weights_of_half_parameters_are_float32(rounding: str) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="pip install '.[test]'")
    w = np.linspace(-1, 1, 600).astype(ml_dtypes.bfloat16)
    opt = gs.Lookahead(gs.SGD(w, lr=0.1, rounding=rounding), k=2, alpha=0.3)
    slow = opt.slow["0"].copy()
    assert slow.dtype == np.float32
    rng = np.random.default_rng(0)
    for _ in range(2):
        grads = [rng.normal(size=600).astype(np.float32) for _ in range(2)]
        opt.step(grads[0])
        twin = copy.deepcopy(opt.optimizer)
        twin.step(grads[1])
        opt.step(grads[1])
        fast = twin.state_as("0", "param")
        slow = slow + np.float32(0.3) * (fast - slow)
        np.testing.assert_array_equal(opt.slow["0"], slow)
        near = opt.optimizer.state_as("0", "param")
        np.testing.assert_allclose(
            near, slow, rtol={"kahan": 2**-14, "split": 0}.get(rounding, 2**-7)
        )
        with opt.swap_slow_weights():
            np.testing.assert_array_equal(w, slow.astype(ml_dtypes.bfloat16))


def test_copies_follow_when_both_meet() -> None:
    w = np.linspace(-1, 1, 300, dtype=np.float32)
    copies = w.astype(np.float16)
    opt = gs.Lookahead(gs.SGD(w, lr=0.1, copies=copies), k=1, alpha=0.3)
    opt.step(np.linspace(-3, 1, 300, dtype=np.float32))
    assert_rounded({"0": copies}, {"0": w})


def test_loss_scaling_works_through_it() -> None:
    w = np.ones(2, np.float32)
    opt, scaler = gs.Lookahead(gs.SGD(w, lr=1.0), k=2), gs.LossScaler(4.0)
    assert scaler.step(opt, np.full(2, np.inf, np.float16)).skipped
    for _ in range(2):
        scaler.step(opt, np.full(2, scaler.scale, np.float16))
    np.testing.assert_array_equal(w, 0.0)


def test_a_backend_switch_and_another_rule_are_followed() -> None:
    params, plain = problem(), problem()
    opt, twin = (gs.Lookahead(gs.Adam(p, lr=0.1), k=2) for p in (params, plain))
    for step in range(6):
        backend = gs.runtime.available_backends()[step // 2 % len(gs.runtime.available_backends())]
        if step == 3:
            opt.amsgrad = twin.amsgrad = True
        with gs.runtime.set_backend(backend):
            opt.step(gradients(params, step))
        twin.step(gradients(plain, step))
    assert_same_bits(params, plain)


def test_a_step_of_another_thread_or_of_a_schedule_is_refused() -> None:
    w = np.ones(2)
    calls = []

    def lr(step: int) -> float:
        if calls:
            with pytest.raises(RuntimeError, match=r"busy with step\(\)"):
                opt.step(np.ones(2))
        calls.append(step)
        return 0.5

    opt = gs.Lookahead(gs.SGD(w, lr=lr), k=2)
    opt.step(np.ones(2))
    assert len(calls) > 1
    np.testing.assert_array_equal(w, 0.5)
