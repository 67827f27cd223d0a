"""torch's learning rate schedulers, averages of weights and clipping, around gradstep's steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.torch.twins import (
    SHARED,
    STATEFUL,
    assert_alike,
    assert_close,
    assert_equal_optimizers,
    few,
    fit,
    front,
    loss_of,
    network,
    params_of,
    set_gradients,
)

torch = pytest.importorskip("torch", reason="torch is not installed: pip install '.[torch]'")
lrs = torch.optim.lr_scheduler
swa = torch.optim.swa_utils

SHARE = 1e-12
STEPS = 30

SCHEDULERS: dict[str, Callable[[Any], Any]] = {
    "LambdaLR": lambda opt: lrs.LambdaLR(opt, [lambda t: 0.9**t, lambda t: 1 / (1 + t)]),
    "MultiplicativeLR": lambda opt: lrs.MultiplicativeLR(opt, lambda t: 0.9 + 0.001 * t),
    "StepLR": lambda opt: lrs.StepLR(opt, 7, gamma=0.5),
    "MultiStepLR": lambda opt: lrs.MultiStepLR(opt, [3, 4, 20], gamma=0.5),
    "ConstantLR": lambda opt: lrs.ConstantLR(opt, 0.25, total_iters=9),
    "LinearLR": lambda opt: lrs.LinearLR(opt, 0.1, total_iters=12),
    "ExponentialLR": lambda opt: lrs.ExponentialLR(opt, 0.9),
    "PolynomialLR": lambda opt: lrs.PolynomialLR(opt, total_iters=20, power=2.0),
    "CosineAnnealingLR": lambda opt: lrs.CosineAnnealingLR(opt, 20, eta_min=1e-4),
    "CosineAnnealingWarmRestarts": lambda opt: lrs.CosineAnnealingWarmRestarts(opt, 4, 2),
    "CyclicLR": lambda opt: lrs.CyclicLR(opt, [1e-3, 1e-4], 0.05, 4, mode="triangular2"),
    "OneCycleLR": lambda opt: lrs.OneCycleLR(opt, [0.05, 0.02], total_steps=STEPS),
    "ReduceLROnPlateau": lambda opt: lrs.ReduceLROnPlateau(opt, factor=0.5, patience=1),
    "SequentialLR": lambda opt: lrs.SequentialLR(
        opt, [lrs.LinearLR(opt, 0.1, total_iters=5), lrs.ExponentialLR(opt, 0.9)], [5]
    ),
    "ChainedScheduler": lambda opt: lrs.ChainedScheduler(
        [lrs.ConstantLR(opt, 0.5, total_iters=6), lrs.ExponentialLR(opt, 0.95)]
    ),
    "SWALR": lambda opt: swa.SWALR(opt, [0.005, 0.02], anneal_epochs=10),
}
DRIVEN = ("lr", "momentum", "betas", "initial_lr")


def grouped(optim: Any, name: str, **options: Any) -> Any:
    first, *others = few()
    groups = [{"params": [first]}, {"params": others, "lr": 0.03}]
    return getattr(optim, name)(groups, lr=0.01, **STATEFUL.get(name, {}), **options)


def driven(opt: Any, make: Callable[[Any], Any]) -> tuple[Any, list[Any]]:
    """The optimizer after the steps, and what the scheduler had set at each of them."""
    scheduler = make(opt)
    seen = []
    for step in range(STEPS):
        set_gradients(params_of(opt), step)
        opt.step()
        metric = [abs(step - 9.0)] if isinstance(scheduler, lrs.ReduceLROnPlateau) else []
        scheduler.step(*metric)
        seen += [{k: group[k] for k in DRIVEN if k in group} for group in opt.param_groups]
        seen.append(scheduler.get_last_lr())
    return opt, seen


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("name", ["SGD", "AdamW"])
def test_schedulers_drive_as_in_torch(name: str, scheduler: str, backend: str) -> None:
    ours, seen = driven(grouped(front, name), SCHEDULERS[scheduler])
    theirs, expected = driven(grouped(torch.optim, name), SCHEDULERS[scheduler])
    assert seen == expected
    assert any(values != expected[0] for values in expected[::3])
    assert_equal_optimizers(ours, theirs, SHARE)


def test_no_scheduler_is_left_out() -> None:
    assert {*SCHEDULERS} == {*lrs.__all__, "SWALR"} - {"LRScheduler"}


@pytest.mark.usefixtures("float64_numbers")
@pytest.mark.parametrize("name", SHARED)
def test_every_optimizer_is_driven(name: str, backend: str) -> None:
    assert_alike(lambda optim: driven(grouped(optim, name), SCHEDULERS["StepLR"])[0], SHARE)


def test_a_scheduler_before_the_first_step_of_a_restored_run(backend: str) -> None:
    """It is made anew with the epoch it had reached, on an optimizer that was loaded."""

    def train(optim: Any) -> Any:
        opt, _ = driven(grouped(optim, "AdamW"), SCHEDULERS["CosineAnnealingLR"])
        other = grouped(optim, "AdamW")
        with torch.no_grad():
            for param, trained in zip(params_of(other), params_of(opt), strict=True):
                param.copy_(trained)
        other.load_state_dict(opt.state_dict())
        return driven(other, lambda opt: lrs.CosineAnnealingLR(opt, 70, last_epoch=STEPS))[0]

    assert_alike(train, SHARE)


def test_a_tensor_lr_is_driven_in_place(backend: str) -> None:
    def train(optim: Any) -> Any:
        opt = optim.AdamW(few(), lr=torch.tensor(0.01, dtype=torch.float64))
        lr = opt.param_groups[0]["lr"]
        driven(opt, SCHEDULERS["ExponentialLR"])
        assert opt.param_groups[0]["lr"] is lr
        assert lr.item() == pytest.approx(0.01 * 0.9**STEPS)
        return opt

    assert_alike(train, SHARE)


@pytest.mark.parametrize("averaging", [None, swa.get_ema_multi_avg_fn(0.9)], ids=["swa", "ema"])
def test_averaged_models(averaging: Any, backend: str) -> None:
    def train(optim: Any) -> tuple[Any, Any]:
        model = network()
        opt = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
        average = swa.AveragedModel(model, multi_avg_fn=averaging, use_buffers=True)
        scheduler = swa.SWALR(opt, 0.01, anneal_epochs=5)
        for step in range(20):
            fit(model, opt, step, step + 1)
            if step >= 10:
                average.update_parameters(model)
                scheduler.step()
        return model, average

    (ours, average), (theirs, expected) = train(front), train(torch.optim)
    assert_close([*average.state_dict().values()], [*expected.state_dict().values()], SHARE)
    assert not torch.equal(average.module[0].weight, ours[0].weight)
    assert_close([*ours.parameters()], [*theirs.parameters()], SHARE)


CLIPS: dict[str, Callable[[Any], Any]] = {
    "norm": lambda params: torch.nn.utils.clip_grad_norm_(params, 0.05),
    "foreach": lambda params: torch.nn.utils.clip_grad_norm_(params, 0.05, foreach=True),
    "largest": lambda params: torch.nn.utils.clip_grad_norm_(params, 0.05, norm_type=torch.inf),
    "value": lambda params: torch.nn.utils.clip_grad_value_(params, 0.01),
}


@pytest.mark.parametrize("clip", CLIPS)
def test_clipping_between_backward_and_step(clip: str, backend: str) -> None:
    def train(optim: Any, limit: Callable[[Any], Any]) -> Any:
        model = network()
        opt = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
        for step in range(10):
            opt.zero_grad()
            loss_of(model, step).backward()
            limit(model.parameters())
            opt.step()
        return opt

    assert_alike(lambda optim: train(optim, CLIPS[clip]), SHARE)
    clipped, free = (params_of(train(front, limit)) for limit in (CLIPS[clip], list))
    assert not torch.equal(clipped[0], free[0])


PARAMETRIZATIONS = torch.nn.utils.parametrizations


@pytest.mark.parametrize("name", ["weight_norm", "spectral_norm", "orthogonal"])
def test_parametrized_layers(name: str, backend: str) -> None:
    def train(optim: Any) -> Any:
        model = network()
        with torch.random.fork_rng():
            torch.manual_seed(7)
            getattr(PARAMETRIZATIONS, name)(model[0])
        before = model[0].weight.detach().clone()
        opt = optim.AdamW(model.parameters(), lr=0.01)
        fit(model, opt, 0, 10)
        assert not torch.equal(model[0].weight, before)
        return opt

    assert_alike(train, 1e-11)
