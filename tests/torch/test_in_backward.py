"""Parameters that step within the backward pass."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

import gradstep as gs

torch = pytest.importorskip("torch", reason="torch is not installed: pip install '.[torch]'")
fronts = pytest.importorskip("gradstep.torch")

needs_backend = pytest.mark.usefixtures("backend")
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "schedule": {"lr": gs.schedules.linear_warmup(4) * 0.1},
    "average": {"ema_decay": 0.9, "l1": 0.01, "clip_value": 0.1},
    "few bits": {"state_dtype": "bfloat16", "ema_decay": 0.5},
    "cautious": {"cautious": True, "weight_decay": 0.1},
}


def model_of(seed: int = 0) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        layers = torch.nn.Linear(6, 40), torch.nn.Tanh(), torch.nn.Linear(40, 40), torch.nn.Tanh()
        return torch.nn.Sequential(*layers, torch.nn.Linear(40, 2))


def loss_of(model: Any, step: int) -> Any:
    generator = torch.Generator().manual_seed(step)
    last = model if step % 3 else model[:2]  # of the others there are no gradients
    return last(torch.randn(8, 6, generator=generator)).square().mean()


def trained(name: str, options: dict[str, Any], within: bool) -> tuple[Any, Any]:
    model = model_of()
    opt = getattr(fronts, name)(model.parameters(), **{"lr": 0.05, **options})
    if within:
        fronts.step_in_backward(opt)
    for step in range(7):
        opt.zero_grad()
        loss_of(model, step).backward()
        if within:
            assert all(param.grad is None for param in model.parameters())
        opt.step()
    return model, opt


@needs_backend
@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("name", ["AdamW", "NAdam"])
def test_the_same_bits(name: str, option: str) -> None:
    (model, opt), (expected, other) = (trained(name, OPTIONS[option], w) for w in (True, False))
    assert opt.steps == other.steps == 7
    for param, wanted in zip(model.parameters(), expected.parameters(), strict=True):
        assert torch.equal(param, wanted)
        assert opt.state[param].keys() == other.state[wanted].keys()
        for key, value in other.state[wanted].items():
            assert torch.equal(opt.state[param][key], value), key


@needs_backend
def test_without_a_step_the_next_gradient_begins_one() -> None:
    model, opt = model_of(), None
    opt = fronts.SGD(model.parameters(), lr=0.1, momentum=0.9)
    handle = fronts.step_in_backward(opt)
    for step in range(1, 3):
        loss_of(model, step).backward()
    handle.remove()
    assert opt.steps == 2
    loss_of(model, 4).backward()
    assert all(param.grad is not None for param in model.parameters())
    opt.step()
    assert opt.steps == 3


@pytest.mark.parametrize(
    "options", [{"clip_norm": 1.0}, {"skip_nonfinite": True}, {"clip_tensor_norm": 1.0}]
)
def test_what_needs_all_gradients_first_is_refused(options: dict[str, Any]) -> None:
    opt = fronts.SGD(model_of().parameters(), lr=0.1, **options)
    with pytest.raises(ValueError, match=f"{next(iter(options))} is decided before"):
        fronts.step_in_backward(opt)


def test_twice_is_refused_and_other_optimizers_too() -> None:
    model = model_of()
    opt = fronts.SGD(model.parameters(), lr=0.1)
    fronts.step_in_backward(opt).remove()
    fronts.step_in_backward(opt)
    with pytest.raises(ValueError, match=r"remove\(\)"):
        fronts.step_in_backward(opt)
    with pytest.raises(TypeError, match=r"gradstep\.torch"):
        fronts.step_in_backward(torch.optim.SGD(model.parameters(), lr=0.1))


@needs_backend
def test_an_option_that_is_set_later_is_refused_in_the_backward_pass() -> None:
    model = model_of()
    opt = fronts.SGD(model.parameters(), lr=0.1)
    fronts.step_in_backward(opt)
    kept = [param.detach().clone() for param in model.parameters()]
    opt.param_groups[0]["clip_norm"] = 1.0
    with pytest.raises(ValueError, match="clip_norm is decided before"):
        loss_of(model, 1).backward()
    assert all(torch.equal(p, k) for p, k in zip(model.parameters(), kept, strict=True))
    opt.param_groups[0]["clip_norm"] = None
    loss_of(model, 1).backward()
    opt.step()
    assert opt.steps == 1


@needs_backend
@pytest.mark.parametrize("name", ["Rprop", "ASGD", "AdamW"])
def test_what_comes_later_steps_too(name: str) -> None:
    """A rate that is set before the first gradient, parameters that are added or unfrozen, and
    gradients that no backward pass has left."""
    results = []
    for within in (True, False):
        model, last = model_of(), torch.nn.Parameter(torch.ones(3))
        model[0].requires_grad_(False)
        opt = getattr(fronts, name)(model.parameters(), lr=0.01)
        if within:
            fronts.step_in_backward(opt)
        opt.param_groups[0]["lr"] = 0.05
        for step in range(1, 6):
            opt.zero_grad()
            if step == 2:
                opt.add_param_group({"params": [last]})
                last.grad = torch.ones(3)
            if step == 3:
                model[0].requires_grad_(True)
            loss_of(model, step).backward()
            opt.step()
        results.append([*(p.detach() for p in model.parameters()), last.detach()])
    for param, wanted in zip(*results, strict=True):
        assert torch.equal(param, wanted)
    assert not torch.equal(results[0][-1], torch.ones(3))


PEAK = """
import re, sys, torch, gradstep.torch as fronts
layers = [torch.nn.Linear(2048, 2048, bias=False) for _ in range(16)]
model = torch.nn.Sequential(*layers)
opt = fronts.SGD(model.parameters(), lr=0.01)
if sys.argv[1] == "within":
    fronts.step_in_backward(opt)
for _ in range(2):
    opt.zero_grad()
    model(torch.ones(1, 2048)).sum().backward()
    opt.step()
status = open("/proc/self/status").read()
print(int(re.search(r"VmHWM:\\s+(\\d+) kB", status)[1]) // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="it reads Linux's account of the process")
def test_the_peak_is_lower_by_nearly_all_gradients() -> None:
    at_once = {"MALLOC_MMAP_THRESHOLD_": "1000000"}  # glibc gives back what is freed
    after, within = (
        int(subprocess.check_output([sys.executable, "-c", PEAK, how], env=os.environ | at_once))
        for how in ("after", "within")
    )
    gradients = 16 * 16  # MiB
    assert after - within > 0.8 * gradients
