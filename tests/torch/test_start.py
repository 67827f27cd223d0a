"""Steps over tensors start where the parameters were, whatever the closure changes."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

import gradstep as gs
from tests.torch.around import SHARP, WRAPPERS, bits, closure_of, nth, state_of, tensors

torch = pytest.importorskip("torch", reason="torch is not installed: pip install '.[torch]'")
fronts = pytest.importorskip("gradstep.torch")
sharpness = pytest.importorskip("gradstep.torch.sharpness")

pytestmark = pytest.mark.usefixtures("backend")

Act = Callable[[Any], object]


@pytest.fixture
def put_back(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many tensors have been put back otherwise than by the pass, each time."""
    sizes: list[int] = []
    plain = sharpness.SAM._back

    def back(self: Any, live: Any) -> Any:
        act = plain(self, live)
        return type(act)(lambda: (sizes.append(len(live)), act()))

    monkeypatch.setattr(sharpness.SAM, "_back", back)
    return sizes


def unchanged(opt: Any) -> None:
    pass


def another_scheduler(opt: Any) -> None:
    torch.optim.lr_scheduler.ExponentialLR(opt, 0.5)


# What the closure does at the worse point, and whether the pass still puts parameters back.
CHANGES: dict[str, tuple[Act, bool]] = {
    "nothing": (unchanged, True),
    "a number": (lambda opt: opt.param_groups[0].update(lr=0.5), True),
    "averages": (lambda opt: opt.param_groups[0].update(ema_decay=0.5), False),
    "limits": (lambda opt: opt.param_groups[0].update(clip_adaptive=0.01), False),
    "its hooks": (lambda opt: opt.register_step_pre_hook(lambda *_: None), False),
    "a scheduler": (another_scheduler, False),
    "an empty state": (lambda opt: opt.state.clear(), False),
}


@SHARP
@pytest.mark.parametrize("change", CHANGES)
def test_a_step_starts_where_the_parameters_were(
    change: str, wrapper: str, backend: str, put_back: list[int]
) -> None:
    params = tensors()
    opt = WRAPPERS[wrapper](fronts.AdamW(params, lr=0.1))
    opt.step(closure_of(opt, params))
    put_back.clear()
    twins, twin = copy.deepcopy((params, opt.optimizer))
    act, in_pass = CHANGES[change]

    def note(loss: Any) -> Any:
        for param, other in zip(params, twins, strict=True):
            other.grad = param.grad.clone()
        act(opt.optimizer)
        return loss

    opt.step(nth(2, closure_of(opt, params), note))
    act(twin)
    twin.step()
    assert bits(params) == bits(twins)
    assert state_of(opt) == state_of(twin)
    assert put_back == ([] if in_pass and backend == "native" else [len(params)])
    assert opt.last_info.skipped is False


def test_the_first_step_does_too() -> None:
    params, twins = tensors(), tensors()
    opt, twin = fronts.SAM(fronts.AdamW(params, lr=0.1), rho=3.0), fronts.AdamW(twins, lr=0.1)

    def note(loss: Any) -> Any:
        for param, other in zip(params, twins, strict=True):
            other.grad = param.grad.clone()
        return loss

    opt.step(nth(2, closure_of(opt, params), note))
    twin.step()
    assert bits(params) == bits(twins)


@SHARP
def test_what_others_read_before_is_there(wrapper: str) -> None:
    """Hooks of the optimizer within find the parameters where they were."""
    params = tensors()
    inner = fronts.AdamW(params, lr=0.1)
    opt = WRAPPERS[wrapper](inner)
    opt.step(closure_of(opt, params))
    before, seen = bits(params), list[Any]()
    inner.register_step_pre_hook(lambda *_: seen.append(bits(params)))
    opt.step(closure_of(opt, params))
    assert seen == [before]
    assert bits(params) != before


@SHARP
def test_a_step_that_fails_changes_nothing(wrapper: str) -> None:
    params = tensors()
    opt = WRAPPERS[wrapper](fronts.AdamW(params, lr=0.1))
    opt.step(closure_of(opt, params))
    before = bits(params), state_of(opt)

    def illegal(loss: Any) -> Any:
        opt.param_groups[0]["lr"] = -1.0
        return loss

    with pytest.raises(ValueError, match="lr must be"):
        opt.step(nth(2, closure_of(opt, params), illegal))
    assert (bits(params), state_of(opt)) == before
    opt.param_groups[0]["lr"] = 0.1
    opt.optimizer.found_inf = torch.ones(())  # as torch.amp.GradScaler says it
    opt.step(closure_of(opt, params))
    assert opt.last_info.skipped
    assert (bits(params), state_of(opt)) == before
    del opt.optimizer.found_inf
    opt.step(closure_of(opt, params))
    assert bits(params) != before[0]


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_any_number_of_threads_gives_the_same_bits(threads: int) -> None:
    def run() -> list[bytes]:
        param = torch.nn.Parameter(torch.linspace(-2, 2, 300_001)[1:])
        opt = fronts.SAM(fronts.AdamW([param], lr=0.1), rho=3.0)
        for _ in range(3):
            opt.step(closure_of(opt, [param]))
        return bits([param])

    with gs.runtime.set_backend("numpy"):
        expected = run()
    now = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert run() == expected
    finally:
        torch.set_num_threads(now)
