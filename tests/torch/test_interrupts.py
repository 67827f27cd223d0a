"""Ctrl-C at any time: the optimizer steps on, and its counts agree."""

from __future__ import annotations

import gc
import signal
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
