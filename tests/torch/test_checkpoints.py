"""Checkpoints of torch.optim go on here, those from here go on there."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

import gradstep as gs
from tests.spec import Spec, Variant
from tests.specs import CASES
from tests.torch.twins import (
    SHARED,
    STATEFUL,
    assert_alike,
    assert_close,
    assert_equal_optimizers,
    few,
    fit,
    front,
    network,
    params_of,
    steps,
)

torch = pytest.importorskip("torch", reason="torch is not installed: pip install '.[torch]'")
dcp = pytest.importorskip("torch.distributed.checkpoint")
state_dicts = pytest.importorskip("torch.distributed.checkpoint.state_dict")

SHARED_CASES = [
    pytest.param(spec, variant, id=f"{spec.cls.__name__}-{variant.name}")
    for spec, variant in CASES
    if spec.oracle.startswith("torch.") and variant.oracle is None and spec.cls is not gs.Adafactor
]

in_float64 = pytest.mark.usefixtures("float64_numbers")


def resumed(optim: Any, opt: Any) -> Any:
    """An optimizer of `optim` with the name, the parameters and the state of `opt`."""
    params = [param.detach().clone().requires_grad_() for param in params_of(opt)]
    other = getattr(optim, type(opt).__name__)(params, lr=1.0)
    other.load_state_dict(copy.deepcopy(opt.state_dict()))
    return other


@pytest.mark.parametrize(("spec", "variant"), SHARED_CASES)
def test_training_goes_on_at_the_other(spec: Spec, variant: Variant, dtype: Any) -> None:
    """From torch to here and from here to torch, for 100 steps, beside torch uninterrupted."""
    name, options = spec.cls.__name__, variant.options
    theirs = getattr(torch.optim, name)(few(dtype), **options)
    ours = getattr(front, name)(few(dtype), **options)
    for opt in (theirs, ours):
        steps(opt, 0, 25)
    handed_over = resumed(torch.optim, ours)
    taken_over = {backend: resumed(front, theirs) for backend in gs.runtime.available_backends()}
    for opt in (theirs, handed_over):
        steps(opt, 25, 125)
    share = spec.tolerance[str(dtype).removeprefix("torch.")]
    assert_equal_optimizers(handed_over, theirs, share)
    for backend, opt in taken_over.items():
        with gs.runtime.set_backend(backend):
            steps(opt, 25, 125)
        assert_equal_optimizers(opt, theirs, share)


@in_float64
def test_state_is_given_the_format_of_its_parameter(backend: str) -> None:
    """As torch does: a float64 checkpoint in a float32 run, and the reverse."""
    for saved, run in ((torch.float64, torch.float32), (torch.float32, torch.float64)):
        source = torch.optim.AdamW(few(saved), amsgrad=True)
        steps(source, 0, 5)
        loaded = []
        for optim in (front, torch.optim):
            opt = optim.AdamW(few(run), amsgrad=True)
            opt.load_state_dict(copy.deepcopy(source.state_dict()))
            steps(opt, 5, 10)
            loaded.append(opt)
        assert_equal_optimizers(*loaded, 2e-6 if run is torch.float32 else 1e-12)


@in_float64
def test_state_of_some_parameters_only(backend: str) -> None:
    """What is missing begins anew, as in torch."""
    source = torch.optim.Adam(few())
    steps(source, 0, 5)
    state = source.state_dict()
    del state["state"][1]
    loaded = []
    for optim in (front, torch.optim):
        opt = optim.Adam(few())
        opt.load_state_dict(copy.deepcopy(state))
        steps(opt, 5, 15)
        loaded.append(opt)
    assert_equal_optimizers(*loaded, 1e-12)


@in_float64
@pytest.mark.filterwarnings("ignore:torch.distributed is disabled:UserWarning")
@pytest.mark.parametrize(
    ("name", "flat"), [*((name, False) for name in SHARED), ("SGD", True), ("AdamW", True)]
)
def test_distributed_checkpoints(name: str, flat: bool, tmp_path: Path, backend: str) -> None:
    options = state_dicts.StateDictOptions(flatten_optimizer_state_dict=flat)

    def begin() -> tuple[Any, Any]:
        model = network()
        return model, getattr(front, name)(model.parameters(), **STATEFUL.get(name, {}))

    def content(model: Any, opt: Any) -> dict[str, Any]:
        pair = state_dicts.get_state_dict(model, opt, options=options)
        return dict(zip(("model", "optimizer"), pair, strict=True))

    model, opt = begin()
    fit(model, opt, 0, 5)
    dcp.save(content(model, opt), checkpoint_id=tmp_path, no_dist=True)
    model2, opt2 = begin()
    state = content(model2, opt2)
    dcp.load(state, checkpoint_id=tmp_path, no_dist=True)
    state_dicts.set_state_dict(
        model2,
        opt2,
        model_state_dict=state["model"],
        optim_state_dict=state["optimizer"],
        options=options,
    )
    assert_equal_optimizers(opt2, opt, 0.0)
    fit(model, opt, 5, 10)
    fit(model2, opt2, 5, 10)
    assert_equal_optimizers(opt2, opt, 0.0)


@in_float64
@pytest.mark.filterwarnings("ignore:torch.distributed is disabled:UserWarning")
@pytest.mark.parametrize("name", SHARED)
def test_a_distributed_checkpoint_of_torch_s_goes_on(
    name: str, tmp_path: Path, backend: str
) -> None:
    runs = {}
    for optim in (torch.optim, front):
        model = network()
        runs[optim] = model, getattr(optim, name)(model.parameters(), **STATEFUL.get(name, {}))
    model, opt = runs[torch.optim]
    fit(model, opt, 0, 5)
    pair = state_dicts.get_state_dict(model, opt)
    dcp.save({"model": pair[0], "optimizer": pair[1]}, checkpoint_id=tmp_path, no_dist=True)
    other_model, other = runs[front]
    pair = state_dicts.get_state_dict(other_model, other)
    state = {"model": pair[0], "optimizer": pair[1]}
    for group in state["optimizer"]["param_groups"]:
        for key in {*group} - {*opt.param_groups[0]}:
            del group[key]  # a plan to load names what the checkpoint has
    dcp.load(state, checkpoint_id=tmp_path, no_dist=True)
    state_dicts.set_state_dict(
        other_model,
        other,
        model_state_dict=state["model"],
        optim_state_dict=state["optimizer"],
    )
    fit(model, opt, 5, 15)
    fit(other_model, other, 5, 15)
    assert_close(params_of(other), params_of(opt), 1e-12)


@pytest.mark.usefixtures("float64_numbers")
@pytest.mark.parametrize("name", ["ASGD", "NAdam", "AdamW"])
def test_a_scheduler_goes_on_after_loading(name: str, backend: str) -> None:
    """What is carried of the rates before the checkpoint is in the state."""

    def train(optim: Any) -> Any:
        opt = getattr(optim, name)(few(), lr=0.1)
        for step in range(8):
            for group in opt.param_groups:
                group["lr"] = 0.1 * 0.7**step
                if "betas" in group:
                    group["betas"] = (0.9 - 0.02 * step, 0.999)
            if step == 4:
                state = copy.deepcopy(opt.state_dict())
                opt = getattr(optim, name)(params_of(opt), lr=0.1)
                opt.load_state_dict(state)
            steps(opt, step, step + 1)
        return opt

    assert_alike(train)
