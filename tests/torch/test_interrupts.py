"""Ctrl-C at any time: the optimizer steps on, and its counts agree."""

from __future__ import annotations

import gc
import inspect
import signal
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install '.[torch]'")
fronts = pytest.importorskip("gradstep.torch")

pytestmark = pytest.mark.skipif(
    not hasattr(signal, "setitimer"), reason="this system has no interval timers"
)
TIMES = 150


@pytest.fixture(autouse=True)
def interrupting() -> Iterator[None]:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    gc.disable()  # others' callbacks in it could not pass an interrupt on
    before = signal.signal(signal.SIGALRM, interrupt)
    yield
    signal.signal(signal.SIGALRM, before)
    gc.enable()


def interrupted(work: Callable[[], object], after: float) -> bool:
    try:
        signal.setitimer(signal.ITIMER_REAL, after)
        work()
        signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        return True
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return False


def made(count: int) -> tuple[list[Any], Any]:
    params = [torch.nn.Parameter(torch.ones(3)) for _ in range(count)]
    opt = fronts.AdamW(params, lr=0.1)
    for param in params:
        param.grad = torch.ones(3)
    return params, opt


def test_the_first_step() -> None:
    def once(after: float) -> tuple[bool, float]:
        params, opt = made(60)
        begin = time.perf_counter()
        hit = interrupted(opt.step, after)
        took = time.perf_counter() - begin
        opt.step()
        opt.step()
        assert {float(opt.state[param]["step"]) for param in params} == {float(opt.steps)}
        return hit, took

    whole = min(once(10.0)[1] for _ in range(5))
    hits = [once(max(1e-5, whole * i / TIMES))[0] for i in range(TIMES)]
    assert sum(hits) > TIMES // 2


def test_steps_in_the_backward_pass() -> None:
    hits = 0
    for i in range(4 * TIMES):
        (p, q), opt = made(2)
        p.grad = q.grad = None
        fronts.step_in_backward(opt)

        def work(p: Any = p, q: Any = q, opt: Any = opt) -> None:
            (p * q).sum().backward()
            opt.step()

        def several(work: Callable[[], None] = work) -> None:
            for _ in range(6):
                work()

        work()
        hits += interrupted(several, 1e-6 + 2e-4 * i / (4 * TIMES))
        p.grad = q.grad = None
        opt.step()
        work()
        assert opt.steps >= int(opt.state[p]["step"])
    assert hits > TIMES


def calls_interrupted(work: Callable[[], object], number: int) -> bool:
    """Whether `work` was interrupted as it made so many calls of functions in Python."""
    left = [number]

    def profile(frame: Any, event: str, argument: object) -> None:
        # What is raised as a generator is closed nobody hears of.
        left[0] -= event == "call" and not frame.f_code.co_flags & inspect.CO_GENERATOR
        if left[0] < 0:
            sys.setprofile(None)
            raise KeyboardInterrupt

    sys.setprofile(profile)
    try:
        work()
    except KeyboardInterrupt:
        return True
    finally:
        sys.setprofile(None)
    return False


OPTIONS: dict[str, dict[str, Any]] = {
    "AdamW": {"lr": 0.1},
    "SOAP": {"lr": 0.1, "precondition_frequency": 2},
}


@pytest.mark.parametrize("at", [0, 3])
@pytest.mark.parametrize("kind", OPTIONS)
def test_a_step_that_is_interrupted_anywhere_counts_or_was_none(kind: str, at: int) -> None:
    steps = 6
    generator = torch.Generator().manual_seed(0)
    grads = [torch.randn(4, 5, generator=generator) for _ in range(steps)]

    def trained(left_out: int | None, hit: int | None) -> tuple[Any, Any, bool]:
        param = torch.nn.Parameter(torch.ones(4, 5))
        opt = getattr(fronts, kind)([param], **OPTIONS[kind])
        was_hit = False
        for t in range(steps):
            param.grad = grads[t].clone()
            if t == at and hit is not None:
                was_hit = calls_interrupted(opt.step, hit)
                if torch.equal(param, torch.ones(4, 5)) and not opt.steps:
                    assert not opt.state[param]
            elif t != left_out:
                opt.step()
        assert opt.steps == int(opt.state[param]["step"])
        return opt, param.detach(), was_hit

    with_it, without = trained(None, None), trained(at, None)
    for hit in range(10_000):
        opt, ended, was_hit = trained(None, hit)
        if not was_hit:
            break
        expected = with_it if opt.steps == steps else without
        assert torch.equal(ended, expected[1]), hit
        assert opt.steps == expected[0].steps
    assert hit > 10
