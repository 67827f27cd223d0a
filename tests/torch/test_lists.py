"""Steps and sums over lists of tensors: the optimizer's bits, and errors that change nothing."""

from __future__ import annotations

import math
from typing import Any

import pytest

import gradstep as gs

torch = pytest.importorskip("torch", reason="torch is not installed: pip install '.[torch]'")
fronts = pytest.importorskip("gradstep.torch")

pytestmark = pytest.mark.usefixtures("backend")
SHAPES = [(), (0,), (1,), (257,), (31, 7), (2, 3, 4, 5)]


def tensors(seed: int, dtype: Any = torch.float32) -> list[Any]:
    generator = torch.Generator().manual_seed(seed)
    made = [torch.randn(shape, generator=generator) for shape in SHAPES]
    made[-1] = made[-1].contiguous(memory_format=torch.channels_last)
    made[-2] = made[-2].T
    return [tensor.to(dtype) for tensor in made]


def zeros(params: list[Any], dtype: Any = None) -> list[Any]:
    return [torch.zeros_like(p, dtype=dtype, requires_grad=False) for p in params]


@pytest.mark.parametrize("grad_dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_the_bits_of_the_optimizer(dtype: Any, grad_dtype: Any) -> None:
    params, twins = tensors(0, dtype), [torch.nn.Parameter(p) for p in tensors(0, dtype)]
    opt = fronts.AdamW(twins, lr=0.1, weight_decay=0.1)
    ms, vs, steps = zeros(params), zeros(params), [torch.zeros(()) for _ in params]
    for step in range(4):
        grads: list[Any] = tensors(10 + step, grad_dtype)
        grads[3] = None if step == 1 else grads[3]
        for twin, grad in zip(twins, grads, strict=True):
            twin.grad = None if grad is None else grad.to(dtype) * 0.5
        opt.step()
        fronts.adamw_step(params, grads, ms, vs, steps, lr=0.1, weight_decay=0.1, grad_scale=0.5)
    for i, twin in enumerate(twins):
        state = opt.state[twin]
        assert torch.equal(params[i], twin)
        assert torch.equal(ms[i], state["exp_avg"])
        assert torch.equal(vs[i], state["exp_avg_sq"])
        assert steps[i] == state["step"]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_moments_in_half_precision(dtype: Any) -> None:
    params, twins = tensors(0), [torch.nn.Parameter(p) for p in tensors(0)]
    narrow = {"state_dtype": "bfloat16"} if dtype == torch.bfloat16 else {}
    opt = fronts.AdamW(twins, lr=0.1, **narrow)
    ms = zeros(params, dtype if narrow else None)
    vs = zeros(params, dtype if narrow else None)
    for step in range(3):
        grads = tensors(10 + step, dtype)
        for twin, grad in zip(twins, grads, strict=True):
            twin.grad = grad.float()
        opt.step()
        fronts.adamw_step(params, grads, ms, vs, step, lr=0.1)
    assert all(torch.equal(p, t) for p, t in zip(params, twins, strict=True))
    assert all(torch.equal(m, opt.state[t]["exp_avg"]) for m, t in zip(ms, twins, strict=True))


def test_gradients_that_lie_otherwise() -> None:
    params, twins = tensors(0), tensors(0)
    states = [zeros(params) for _ in range(4)]
    grads = tensors(1)
    scattered = [torch.stack([g, g], -1)[..., 0] for g in grads]
    fronts.adamw_step(params, grads, states[0], states[1], 0, lr=0.1)
    fronts.adamw_step(twins, scattered, states[2], states[3], 0, lr=0.1)
    assert all(torch.equal(p, t) for p, t in zip(params, twins, strict=True))


def test_draws_do_not_depend_on_the_order_in_memory() -> None:
    results = []
    for transposed in (False, True):
        param = torch.arange(600.0).reshape(20, 30) / 100
        grad = torch.linspace(-1, 1, 600).reshape(20, 30)
        moments = [torch.zeros(20, 30, dtype=torch.bfloat16) for _ in range(2)]
        given = [t.T.contiguous().T if transposed else t for t in (param, *moments)]
        fronts.adamw_step([given[0]], [grad], [given[1]], [given[2]], 0, lr=0.1)
        fronts.adamw_step([given[0]], [grad], [given[1]], [given[2]], 1, lr=0.1)
        results.append([t.contiguous() for t in given])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_sums(dtype: Any) -> None:
    grads = tensors(1, dtype)
    sums = zeros(tensors(0))
    expected = zeros(sums)
    for _ in range(3):
        fronts.accumulate(sums, [*grads[:2], None, *grads[3:]])
        for i, total in enumerate(expected):
            total += 0 if i == 2 else grads[i].to(torch.float32)
    assert all(torch.equal(s, e) for s, e in zip(sums, expected, strict=True))
    squares = sum(float(g.double().square().sum()) for g in grads)
    assert fronts.global_norm([*grads, None]) == pytest.approx(math.sqrt(squares), rel=1e-14)


def call(**changes: Any) -> tuple[Any, dict[str, Any]]:
    params = [torch.ones(4), torch.ones(3)]
    given: dict[str, Any] = {
        "params": params,
        "grads": [torch.ones(4), torch.ones(3)],
        "exp_avgs": zeros(params),
        "exp_avg_sqs": zeros(params),
        "steps": [torch.zeros(()), torch.zeros(())],
        "lr": 0.1,
    } | changes
    return params, given


ones = torch.ones
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "fewer gradients": ({"grads": [ones(4)]}, "grads must be as many"),
    "fewer moments": ({"exp_avgs": [ones(4)]}, "exp_avgs must be as many"),
    "a gradient's shape": ({"grads": [ones(4), ones(4)]}, "gradient '1' has shape"),
    "a gradient's dtype": ({"grads": [ones(4), ones(3).long()]}, "gradient '1' has dtype"),
    "a sparse gradient": ({"grads": [ones(4), ones(3).to_sparse()]}, "layout"),
    "a moment's shape": ({"exp_avgs": [ones(4), ones(4)]}, r"exp_avgs\[1\] has shape"),
    "a moment's dtype": ({"exp_avgs": [ones(4), ones(3).double()]}, r"exp_avgs\[1\] has dtype"),
    "a moment that is none": ({"exp_avg_sqs": [ones(4), 0.0]}, r"exp_avg_sqs\[1\] must be"),
    "a copy's dtype": ({"copies": [None, ones(3)]}, r"copies\[1\] is a"),
    "steps": ({"steps": torch.zeros(2)}, "steps must be a list"),
    "a negative step": ({"steps": -1}, "steps must be"),
    "steps that are ints": ({"steps": [0, 0]}, "steps in a list must be tensors"),
    "steps that need gradients": (
        {"steps": [torch.zeros((), requires_grad=True) for _ in range(2)]},
        "require no gradient",
    ),
    "lr": ({"lr": -1.0}, "lr must be"),
    "grad_scale": ({"grad_scale": 0.0}, "grad_scale"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_named_and_nothing_is_changed(wrong: str) -> None:
    changes, words = WRONG[wrong]
    params, given = call(**changes)
    with pytest.raises((TypeError, ValueError), match=words):
        fronts.adamw_step(**given)
    assert all(torch.equal(p, torch.ones_like(p)) for p in params)
    if isinstance(given["steps"], list):
        assert not any(given["steps"])


def test_memory_that_is_shared_is_refused() -> None:
    params, given = call()
    for changes in (
        {"exp_avgs": params},
        {"grads": params},
        {"copies": [params[0].bfloat16()] * 2},
    ):
        with pytest.raises((TypeError, ValueError)):
            fronts.adamw_step(**{**given, **changes})
    assert all(torch.equal(p, torch.ones_like(p)) for p in params)


def test_a_norm_is_the_same_on_both_backends_in_any_order() -> None:
    grads = [torch.randn(300, 7, generator=torch.Generator().manual_seed(0)).T]
    norms = set()
    for name in gs.runtime.available_backends():
        with gs.runtime.set_backend(name):
            norms.add(fronts.global_norm(grads))
    assert len(norms) == 1


def test_a_stale_graph_raises() -> None:
    weight = torch.ones(3, requires_grad=True)
    loss = (weight * weight).sum()
    fronts.adamw_step([weight], [ones(3)], [torch.zeros(3)], [torch.zeros(3)], 0, lr=0.1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()
