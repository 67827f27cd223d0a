"""Wrappers around optimizers over tensors: the bits of those over arrays, and torch's ways."""

from __future__ import annotations

import copy
import io
import pickle
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from tests.torch.around import (
    ALL,
    ANY,
    INNER,
    WRAPPERS,
    bits,
    closure_of,
    nth,
    state_of,
    tensors,
    throw,
    trained,
)

torch = pytest.importorskip("torch", reason="torch is not installed: pip install '.[torch]'")
fronts = pytest.importorskip("gradstep.torch")

pytestmark = pytest.mark.usefixtures("backend")


@ALL
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_they_give_the_bits_of_those_over_arrays(wrapper: str, dtype: str) -> None:
    params = tensors(getattr(torch, dtype))
    arrays = [np.array(p.detach().numpy(), order="C") for p in params]
    opt = WRAPPERS[wrapper](fronts.AdamW(params, lr=0.1))
    inner = gs.AdamW(arrays, lr=0.1)
    twin: Any = {
        "Lookahead": lambda: gs.Lookahead(inner, k=2, alpha=0.3),
        "SAM": lambda: gs.SAM(inner, rho=0.3),
        "ASAM": lambda: gs.ASAM(inner, rho=0.3, eta=0.1),
    }[wrapper]()

    def closure() -> Any:
        for param in params:
            param.grad = (param.detach() * param.detach() + 1).contiguous()
        return 1.0

    def over_arrays() -> Any:
        return 1.0, [a * a + a.dtype.type(1) for a in arrays]

    for _ in range(5):
        opt.step(closure)
        twin.step(over_arrays()[1] if wrapper == "Lookahead" else over_arrays)
    for param, array in zip(params[:-1], arrays[:-1], strict=True):
        np.testing.assert_array_equal(param.detach().numpy(), array)
    # Sums go by the order in memory, which is another one for the last.
    rtol = 1e-6 if dtype == "float32" else 1e-14
    np.testing.assert_allclose(params[-1].detach().numpy(), arrays[-1], rtol=rtol)


@ALL
@ANY
def test_backends_give_the_same_bits(wrapper: str, inner: str) -> None:
    def run(backend: str) -> list[bytes]:
        with gs.runtime.set_backend(backend):
            params = tensors()
            opt = WRAPPERS[wrapper](INNER[inner](params))
            for _ in range(4):
                opt.step(closure_of(opt, params))
            return bits(params)

    assert run("numpy") == run(gs.runtime.available_backends()[0])


@ALL
def test_they_agree_with_pytorch_optimizer(wrapper: str) -> None:
    oracles = pytest.importorskip("pytorch_optimizer", reason="pip install '.[oracles]'")
    params, theirs = ([p for p in tensors(torch.float64) if p.numel()] for _ in range(2))
    inner = torch.optim.AdamW(params, lr=0.1)
    if wrapper == "Lookahead":
        opt = fronts.Lookahead(inner, k=3, alpha=0.7)
        oracle = oracles.Lookahead(torch.optim.AdamW(theirs, lr=0.1), k=3, alpha=0.7)
    else:
        adaptive = wrapper == "ASAM"
        opt = fronts.ASAM(inner, rho=0.3, eta=0.0) if adaptive else fronts.SAM(inner, rho=0.3)
        oracle = oracles.SAM(theirs, torch.optim.AdamW, rho=0.3, adaptive=adaptive, lr=0.1)
    for _ in range(8):
        closure = closure_of(oracle, theirs)
        loss = closure()
        oracle.step(closure)
        assert opt.step(closure_of(opt, params)).item() == pytest.approx(loss.item(), rel=1e-6)
    for param, other in zip(params, theirs, strict=True):
        torch.testing.assert_close(param, other, rtol=1e-7, atol=1e-9)


@ALL
@ANY
def test_groups_and_state_are_shared(wrapper: str, inner: str) -> None:
    params = tensors()
    within = INNER[inner](params[:2])
    opt = WRAPPERS[wrapper](within)
    assert isinstance(opt, torch.optim.Optimizer)
    opt.add_param_group({"params": params[2:], "lr": 0.5})
    assert opt.param_groups is within.param_groups
    assert opt.defaults is within.defaults
    assert len(within.param_groups) == 2
    opt.step(closure_of(opt, params))
    assert opt.state is within.state
    assert all(param in opt.state for param in params)
    opt.zero_grad()
    assert all(param.grad is None for param in params)
    assert repr(opt).startswith(f"{wrapper} (\nParameter Group 0")


@ALL
def test_schedulers_hooks_and_profilers_take_them(wrapper: str) -> None:
    params = tensors()
    opt = WRAPPERS[wrapper](fronts.SGD(params, lr=0.1))
    scheduler = torch.optim.lr_scheduler.OneCycleLR(opt, 0.5, total_steps=10, cycle_momentum=False)
    calls = []
    opt.register_step_pre_hook(lambda *_: calls.append("before"))
    opt.register_step_post_hook(lambda *_: calls.append("after"))
    rates = set()
    for _ in range(3):
        opt.step(closure_of(opt, params))
        scheduler.step()
        rates.add(opt.optimizer.param_groups[0]["lr"])
    assert len(rates) == 3
    assert calls == ["before", "after"] * 3


@ALL
@ANY
def test_state_dicts_and_copies_go_on_with_the_same_bits(wrapper: str, inner: str) -> None:
    params = tensors()
    opt = WRAPPERS[wrapper](INNER[inner](params))
    trained(opt, params, 3)
    file = io.BytesIO()
    torch.save(opt.state_dict(), file)
    file.seek(0)
    values = [torch.nn.Parameter(p.detach().clone()) for p in params]
    twins, twin = copy.deepcopy((params, opt))
    expected = trained(opt, params, 4)
    assert trained(twin, twins, 4) == expected
    loaded = WRAPPERS[wrapper](INNER[inner](values))
    loaded.load_state_dict(torch.load(file))
    assert trained(loaded, values, 4) == expected
    assert state_of(loaded) == state_of(opt)


@ALL
def test_a_group_that_cannot_be_wrapped_is_not_added(wrapper: str) -> None:
    params = tensors()
    opt = WRAPPERS[wrapper](torch.optim.SGD(params))
    meta = torch.nn.Parameter(torch.ones(2, device="meta"))
    with pytest.raises(TypeError, match="parameter 0 is on the meta device"):
        opt.add_param_group({"params": [meta]})
    assert len(opt.param_groups) == 1


@ALL
def test_they_are_copied_and_pickled_beside_a_scheduler(wrapper: str) -> None:
    params = tensors()
    opt = WRAPPERS[wrapper](fronts.SGD(params, lr=0.1))
    scheduler = torch.optim.lr_scheduler.ExponentialLR(opt, 0.5)
    trained(opt, params, 1)
    scheduler.step()
    before = bits(params)
    twins, twin = pickle.loads(pickle.dumps((params, opt)))
    others, other = copy.deepcopy((params, opt))
    assert trained(twin, twins, 2) == trained(other, others, 2)
    assert bits(params) == before


@pytest.mark.parametrize("rounding", ["nearest", "kahan", "split"])
@ALL
def test_parameters_in_bfloat16(wrapper: str, rounding: str) -> None:
    params = tensors(torch.bfloat16)
    opt = WRAPPERS[wrapper](fronts.AdamW(params, lr=0.1, rounding=rounding))
    if wrapper == "Lookahead":
        assert opt.slow[params[0]].dtype == torch.float32
    trained(opt, params, 2)
    if wrapper == "Lookahead":  # they have met
        assert bits(params) == bits([opt.slow[p].bfloat16() for p in params])
    before = bits(params)
    if wrapper != "Lookahead":
        with pytest.raises(KeyError):
            opt.step(nth(2, closure_of(opt, params), throw(KeyError())))
        assert bits(params) == before
    assert trained(opt, params, 1) != before


def test_copies_follow() -> None:
    params = [p for p in tensors() if p.numel()]
    halves = [p.detach().bfloat16() for p in params]
    opt = fronts.Lookahead(fronts.AdamW(params, lr=0.1, copies=halves), k=1, alpha=0.3)
    trained(opt, params, 1)
    for param, half in zip(params, halves, strict=True):
        assert torch.equal(half, param.detach().bfloat16())
    seen = []
    sam = fronts.SAM(fronts.AdamW(params, lr=0.1, copies=halves), rho=0.5)

    def closure() -> Any:
        seen.append([half.clone() for half in halves])
        return closure_of(sam, params)()

    sam.step(closure)
    assert not torch.equal(seen[0][0], seen[1][0])
    for param, half in zip(params, halves, strict=True):
        assert torch.equal(half, param.detach().bfloat16())


def test_they_go_into_one_another() -> None:
    params, plain = tensors(), tensors()
    one = fronts.Lookahead(fronts.SAM(fronts.SGD(params, lr=0.01)), k=2)
    other = fronts.SAM(fronts.Lookahead(fronts.SGD(plain, lr=0.01), k=2))
    assert trained(one, params, 5) == trained(other, plain, 5)


@ALL
def test_illegal_settings_are_named(wrapper: str) -> None:
    with pytest.raises(TypeError, match=r"opt must be a torch.optim.Optimizer, got 3"):
        WRAPPERS[wrapper](3)
    with pytest.raises(TypeError, match=rf"NumPy arrays go into gs.{wrapper}"):
        WRAPPERS[wrapper](gs.SGD(np.ones(2)))
    meta = torch.nn.Parameter(torch.ones(2, device="meta"))
    with pytest.raises(TypeError, match="parameter 0 is on the meta device"):
        WRAPPERS[wrapper](torch.optim.SGD([meta]))
    opt = WRAPPERS[wrapper](fronts.SGD(tensors()))
    setting = "alpha" if wrapper == "Lookahead" else "rho"
    with pytest.raises(ValueError, match=f"{setting} must be a finite number ≥ 0, got -1"):
        setattr(opt, setting, -1)
    if wrapper == "ASAM":
        opt.eta = 0.5
        assert opt.eta == 0.5
        with pytest.raises(ValueError, match="eta must be a finite number ≥ 0, got -1"):
            opt.eta = -1
    params = tensors()
    within = fronts.SGD(params)
    fronts.step_in_backward(within)
    with pytest.raises(RuntimeError, match="step_in_backward takes the steps"):
        WRAPPERS[wrapper](within)
