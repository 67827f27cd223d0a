"""State of PyTorch's optimizers: training goes on over there, and back here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from tests.helpers import Array, assert_same_bits, everything
from tests.saving.torch_run import gradients, our_steps, start, tensors_of, torch_steps
from tests.spec import Spec, Variant
from tests.specs import CASES

torch = pytest.importorskip("torch", reason="torch is not installed: pip install '.[torch]'")

SHARED_CASES = [
    (spec, variant)
    for spec, variant in CASES
    if spec.oracle.startswith("torch.") and variant.oracle is None
]
IDS = [f"{spec.cls.__name__}-{variant.name}" for spec, variant in SHARED_CASES]


@pytest.fixture(autouse=True)
def step_counts_in_float64() -> Iterator[None]:
    """PyTorch keeps step sizes in the default dtype; ours are float64."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def assert_close(ours: list[Array], theirs: list[Any], tolerance: float) -> None:
    values = [tensor.detach().numpy() for tensor in theirs]
    largest = max(float(np.max(np.abs(v))) for v in values)
    for a, b in zip(ours, values, strict=True):
        np.testing.assert_allclose(a, b, rtol=0.0, atol=tolerance * largest)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("spec", "variant"), SHARED_CASES, ids=IDS)
def test_what_began_in_torch_goes_on_here(spec: Spec, variant: Variant, dtype: str) -> None:
    tensors = tensors_of(start(dtype, spec.cls))
    theirs = getattr(torch.optim, spec.cls.__name__)(tensors, foreach=False, **variant.options)
    torch_steps(theirs, tensors, 0, 25)
    ours = [tensor.detach().numpy().copy() for tensor in tensors]
    opt = spec.cls(ours)
    gs.load_torch_state_dict(opt, theirs.state_dict())
    torch_steps(theirs, tensors, 25, 50)
    our_steps(opt, 25, 50)
    assert_close(ours, tensors, spec.tolerance[dtype])
    assert_close_state(opt, theirs, tensors, spec.tolerance[dtype])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("spec", "variant"), SHARED_CASES, ids=IDS)
def test_what_began_here_goes_on_in_torch(spec: Spec, variant: Variant, dtype: str) -> None:
    ours = start(dtype, spec.cls)
    opt = spec.cls(ours, **variant.options)
    our_steps(opt, 0, 25)
    tensors = tensors_of(ours)
    theirs = getattr(torch.optim, spec.cls.__name__)(tensors, lr=1.0)
    theirs.load_state_dict(gs.torch_state_dict(opt))
    torch_steps(theirs, tensors, 25, 50)
    our_steps(opt, 25, 50)
    assert_close(ours, tensors, spec.tolerance[dtype])
    assert_close_state(opt, theirs, tensors, spec.tolerance[dtype])


@pytest.mark.parametrize(("spec", "variant"), SHARED_CASES, ids=IDS)
@pytest.mark.parametrize("steps", [0, 1, 7])
def test_there_and_back_is_the_same_to_the_bit(spec: Spec, variant: Variant, steps: int) -> None:
    """Also through PyTorch's own optimizer, and with its usual default dtype."""
    torch.set_default_dtype(torch.float32)
    opt = spec.cls(start("float32", spec.cls), **variant.options)
    our_steps(opt, 0, steps)
    exported = gs.torch_state_dict(opt)
    theirs = getattr(torch.optim, spec.cls.__name__)(tensors_of(start("float32", spec.cls)))
    theirs.load_state_dict(exported)
    for state in (exported, theirs.state_dict()):
        params = [p.copy(order="K") for p in opt.params.values()]
        other = spec.cls(params, **variant.options)
        our_steps(other, 30, 32)
        for mine, kept in zip(params, opt.params.values(), strict=True):
            mine[...] = kept
        gs.load_torch_state_dict(other, state, steps=opt.steps)
        assert_same_bits(everything(other), everything(opt))
        assert other.steps == opt.steps
        assert repr(other) == repr(opt)
        if spec.cls is not gs.SGD:
            counts = [[of["step"] for of in o.state_dict()["state"].values()] for o in (opt, other)]
            assert counts[0] == counts[1]
        twin = copy_of(opt)
        our_steps(twin, steps, steps + 4)
        our_steps(other, steps, steps + 4)
        assert_same_bits(everything(other), everything(twin))


def assert_close_state(opt: gs.Optimizer, theirs: Any, tensors: list[Any], share: float) -> None:
    for slots, tensor in zip(opt.state.values(), tensors, strict=True):
        for slot, array in slots.items():
            other = theirs.state[tensor][slot].numpy()
            atol = share * float(np.max(np.abs(other)))
            np.testing.assert_allclose(array, other, rtol=0.0, atol=atol)


def copy_of(opt: gs.Optimizer) -> gs.Optimizer:
    twin = type(opt)([p.copy(order="K") for p in opt.params.values()])
    twin.load_state_dict(opt.state_dict())
    return twin


def test_groups_correspond_by_their_order() -> None:
    w, b, v = start("float64")
    tensors = tensors_of([w, b, v])
    theirs = torch.optim.AdamW(
        [{"params": tensors[:1], "lr": 0.5}, {"params": tensors[1:], "betas": (0.5, 0.6)}],
        lr=torch.tensor(0.1),
    )
    torch_steps(theirs, tensors, 0, 4)
    ours = [tensor.detach().numpy().copy() for tensor in tensors]
    opt = gs.AdamW([{"params": ours[0]}, {"params": ours[1:]}], clip_value=100.0)
    gs.load_torch_state_dict(opt, theirs.state_dict())
    assert [group["lr"] for group in opt.groups] == [0.5, 0.1]
    assert [group["betas"] for group in opt.groups] == [(0.9, 0.999), (0.5, 0.6)]
    assert opt.clip_value == 100.0
    assert opt.steps == 4
    assert [of["step"] for of in opt.state_dict()["state"].values()] == [4, 3, 4]
    torch_steps(theirs, tensors, 4, 8)
    for step in range(4, 8):
        grads = gradients(step, "float64")
        opt.step([grads[0], grads[1:]])
    assert_close(ours, tensors, 1e-12)

    opt.clip_value = None
    exported = gs.torch_state_dict(opt)
    assert [group["params"] for group in exported["param_groups"]] == [[0], [1, 2]]
    assert exported["param_groups"][0]["foreach"] is None
    theirs.load_state_dict(exported)
    torch_steps(theirs, tensors, 8, 9)
    grads = gradients(8, "float64")
    opt.step([grads[0], grads[1:]])
    assert_close(ours, tensors, 1e-12)


def test_schedules_stay_here_and_give_their_value_there() -> None:
    opt = gs.SGD(start("float64"), lr=lambda step: 1.0 / (step + 1), momentum=0.9)
    our_steps(opt, 0, 3)
    exported = gs.torch_state_dict(opt)
    assert exported["param_groups"][0]["lr"] == 0.25
    schedule = opt.lr
    before = everything(opt)
    with pytest.raises(ValueError, match=r"SGD keeps no count of its steps.*steps=\.\.\."):
        gs.load_torch_state_dict(opt, exported)
    assert_same_bits(everything(opt), before)
    gs.load_torch_state_dict(opt, exported, steps=9)
    assert opt.lr is schedule
    assert opt.steps == 9


def test_decay_means_what_it_means_in_torch() -> None:
    theirs = torch.optim.SGD(tensors_of(start("float64")), lr=0.1, weight_decay=0.5)
    opt = gs.SGD(start("float64"), decoupled_weight_decay=True)
    gs.load_torch_state_dict(opt, theirs.state_dict())
    assert not opt.decoupled_weight_decay
    adam = torch.optim.Adam(tensors_of(start("float64")), decoupled_weight_decay=True)
    ours = gs.Adam(start("float64"))
    gs.load_torch_state_dict(ours, adam.state_dict())
    assert ours.decoupled_weight_decay
    assert gs.torch_state_dict(ours)["param_groups"][0]["decoupled_weight_decay"]
    older = adam.state_dict()
    del older["param_groups"][0]["decoupled_weight_decay"]
    ours = gs.AdamW(start("float64"))
    gs.load_torch_state_dict(ours, older)
    assert ours.decoupled_weight_decay


def test_without_decay_adamw_is_exported_as_torch_has_it() -> None:
    opt = gs.AdamW(start("float64"), weight_decay=0.0, decoupled_weight_decay=False)
    assert gs.torch_state_dict(opt)["param_groups"][0]["decoupled_weight_decay"]


def test_state_that_torch_does_not_have_yet_begins_at_the_given_step() -> None:
    theirs = torch.optim.Rprop(tensors_of(start("float64"))).state_dict()
    opt = gs.Rprop(start("float64"), lr=lambda step: 1.0 / (step + 1))
    gs.load_torch_state_dict(opt, theirs, steps=3)
    np.testing.assert_array_equal(opt.state["0"]["step_size"], 0.25)


def test_what_schedulers_leave_in_a_group_is_passed_over() -> None:
    theirs = torch.optim.Adam(tensors_of(start("float64")))
    torch.optim.lr_scheduler.OneCycleLR(theirs, max_lr=0.1, total_steps=10)
    theirs.param_groups[0]["swa_lr"] = 0.1
    opt = gs.Adam(start("float64"))
    gs.load_torch_state_dict(opt, theirs.state_dict())
    assert opt.lr == theirs.param_groups[0]["lr"]


def test_buffers_that_older_versions_of_torch_left_empty() -> None:
    theirs = torch.optim.SGD(tensors_of(start("float64")), momentum=0.9).state_dict()
    theirs["state"] = {0: {"momentum_buffer": None}}
    opt = gs.SGD(start("float64"))
    gs.load_torch_state_dict(opt, theirs)
    assert opt.state_dict()["state"]["0"]["step"] == 0
