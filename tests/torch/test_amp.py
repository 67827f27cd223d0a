"""Loss scaling and autocast around gradstep's optimizers, as around torch's."""

from __future__ import annotations

from typing import Any

import pytest

from tests.torch.twins import (
    SHARED,
    STATEFUL,
    assert_alike,
    assert_close,
    assert_equal_optimizers,
    front,
    loss_of,
    network,
    ours_only,
    params_of,
    steps,
)

torch = pytest.importorskip("torch", reason="torch is not installed: pip install '.[torch]'")

OVERFLOWS = (2, 3, 7)  # the steps at which scaled gradients are not finite
FUSED = ("SGD", "Adagrad", "Adam", "AdamW")


def scaled_run(
    optim: Any, name: str, *, clip: bool = False, **options: Any
) -> tuple[Any, list[float]]:
    """The optimizer after steps with a GradScaler, and its scales."""
    model = network()
    opt = getattr(optim, name)(model.parameters(), **STATEFUL.get(name, {}), **options)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=2)
    scales = []
    for step in range(10):
        opt.zero_grad()
        loss = loss_of(model, step)
        scaler.scale(loss * torch.inf if step in OVERFLOWS else loss).backward()
        if clip:
            scaler.unscale_(opt)
            torch.nn.utils.clip_grad_norm_(model.parameters(), 0.05)
        before = [param.detach().clone() for param in params_of(opt)]
        assert scaler.step(opt) is None
        same = [torch.equal(p, old) for p, old in zip(params_of(opt), before, strict=True)]
        assert all(same) == (step in OVERFLOWS)
        scaler.update()
        scales.append(scaler.get_scale())
    assert not hasattr(opt, "grad_scale")
    assert not hasattr(opt, "found_inf")
    return opt, scales


@pytest.mark.usefixtures("float64_numbers")
@pytest.mark.parametrize("clip", [False, True], ids=["plain", "clipped"])
@pytest.mark.parametrize("name", SHARED)
def test_grad_scaler(name: str, clip: bool, backend: str) -> None:
    ours, scales = scaled_run(front, name, clip=clip)
    theirs, expected = scaled_run(torch.optim, name, clip=clip)
    assert scales == expected
    assert {*scales} == {512.0, 1024.0, 2048.0}
    assert_equal_optimizers(ours, theirs, 1e-12)
    if name != "SGD":
        done = [int(slots["step"]) for slots in ours.state.values()]
        assert done == [10 - len(OVERFLOWS)] * 4


@pytest.mark.parametrize("name", FUSED)
def test_as_torch_s_fused_ones_which_take_the_scale_themselves(name: str, backend: str) -> None:
    ours, _ = scaled_run(front, name, fused=True)
    theirs, _ = scaled_run(torch.optim, name, fused=True)
    assert_equal_optimizers(ours, theirs, 1e-12)


@ours_only
def test_a_scaled_step_reads_gradients_only(backend: str) -> None:
    model = network()
    opt = front.AdamW(model.parameters(), fused=True)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    scaler.scale(loss_of(model, 0)).backward()
    kept = [param.grad.clone() for param in model.parameters()]
    scaler.step(opt)
    assert all(torch.equal(p.grad, g) for p, g in zip(params_of(opt), kept, strict=True))


def test_one_scaler_for_two_optimizers(backend: str) -> None:
    """The overflow of the one does not keep the other from its step."""

    def train(optim: Any) -> list[Any]:
        models = network(), network()
        opts = [
            optim.AdamW(models[0].parameters(), lr=0.01),
            optim.SGD(models[1].parameters(), lr=0.1),
        ]
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=3)
        for step in range(8):
            for model, opt in zip(models, opts, strict=True):
                opt.zero_grad()
                scaler.scale(loss_of(model, step)).backward()
            if step == 4:
                models[0][0].bias.grad.fill_(torch.nan)
            for opt in opts:
                scaler.step(opt)
            scaler.update()
        return [param for opt in opts for param in params_of(opt)]

    assert_close(train(front), train(torch.optim), 1e-12)


def test_attributes_that_a_user_sets(backend: str) -> None:
    """The protocol itself: with `found_inf` no step, with `grad_scale` smaller gradients."""
    param = torch.nn.Parameter(torch.ones(3))
    opt = front.SGD([param], lr=1.0)
    if front is torch.optim:
        opt = front.SGD([param], lr=1.0, fused=True)
    param.grad = torch.full((3,), 8.0)
    opt.grad_scale, opt.found_inf = torch.tensor(4.0), torch.tensor(1.0)
    opt.step()
    assert param.tolist() == [1.0, 1.0, 1.0]
    opt.found_inf = torch.tensor(0.0)
    opt.step()
    assert param.tolist() == [-1.0, -1.0, -1.0]


def test_a_scaler_refuses_a_closure_as_with_torch(backend: str) -> None:
    opt = front.AdamW(network().parameters())
    scaler = torch.amp.GradScaler("cpu")
    with pytest.raises(RuntimeError, match="Closure use is not currently supported"):
        scaler.step(opt, closure=lambda: None)


@pytest.mark.usefixtures("float64_numbers")
@pytest.mark.parametrize("name", SHARED)
def test_autocast(name: str, backend: str) -> None:
    """Forward in bfloat16, parameters and gradients in float64."""

    def train(optim: Any) -> Any:
        model = network()
        opt = getattr(optim, name)(model.parameters(), **STATEFUL.get(name, {}))
        for step in range(5):
            opt.zero_grad()
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = loss_of(model, step)
            loss.backward()
            assert loss.isfinite()
            opt.step()
        return opt

    assert_alike(train, 1e-12)


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16], ids=["bfloat16", "float16"])
@pytest.mark.parametrize("name", FUSED)
def test_half_precision_all_through(name: str, half: Any, backend: str) -> None:
    """torch's fused kernels, too, compute in float32 and round what they store to nearest even."""

    def train(optim: Any) -> Any:
        params = [torch.nn.Parameter(torch.linspace(0.5, 1.5, 96).to(half))]
        # Those of its fused SGD are far from its plain one.
        options = {} if name == "SGD" else {"eps": 1e-3, "fused": True}
        opt = getattr(optim, name)(params, lr=0.01, **options)
        steps(opt, 0, 10)
        return opt

    ours, theirs = train(front), train(torch.optim)
    share = torch.finfo(half).eps
    assert_close(params_of(ours), params_of(theirs), share)
    if half == torch.bfloat16 and name != "SGD":  # beside float16, squares are in float32
        assert_equal_optimizers(ours, theirs, 2 * share)
