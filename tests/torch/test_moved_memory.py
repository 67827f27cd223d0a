"""Memory that closures and with-blocks take from parameters is not written any more."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.torch.around import SHARP, WRAPPERS, closure_of, nth, throw

torch = pytest.importorskip("torch", reason="torch is not installed: pip install '.[torch]'")
fronts = pytest.importorskip("gradstep.torch")

FREED = """
import sys
import torch
import gradstep
import gradstep.torch as fronts

def refused(wrapper, size):
    w = torch.nn.Parameter(torch.ones(100_000))
    opt = getattr(fronts, wrapper)(fronts.SGD([w], lr=0.1))
    others, calls = [], []

    def resize():
        w.untyped_storage().resize_(size)
        others.extend(torch.full((100_000,), 7.0) for _ in range(50))

    def closure():
        opt.zero_grad()
        loss = (w * w).sum()
        loss.backward()
        calls.append(1)
        if len(calls) == 2:
            resize()
        return loss

    try:
        if wrapper == "Lookahead":
            with opt.swap_slow_weights():
                resize()
        else:
            opt.step(closure)
    except RuntimeError as error:
        assert "other memory" in str(error), error
        assert all(bool((other == 7).all()) for other in others), "a foreign tensor was written"
        return True

for backend in ("native", "numpy"):
    with gradstep.runtime.set_backend(backend):
        print(*(refused(sys.argv[1], size) for size in (0, 10**8)))
"""


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_freed_memory_is_not_written(wrapper: str) -> None:
    run = subprocess.run([sys.executable, "-c", FREED, wrapper], capture_output=True, text=True)
    assert run.stdout == "True True\n" * 2, (run.returncode, run.stderr)


@SHARP
@pytest.mark.parametrize("raises", [False, True])
def test_the_others_are_put_back(wrapper: str, raises: bool, backend: str) -> None:
    params = [torch.nn.Parameter(torch.linspace(1, 2, 5)) for _ in range(3)]
    opt = WRAPPERS[wrapper](fronts.SGD(params, lr=0.1))

    def move(loss: object) -> object:
        params[1].data = torch.zeros(5)
        return throw(ZeroDivisionError())(loss) if raises else loss

    error, text = (ZeroDivisionError, None) if raises else (RuntimeError, "other memory")
    with pytest.raises(error, match=text):
        opt.step(nth(2, closure_of(opt, params), move))
    for param, expected in zip(params, (True, False, True), strict=True):
        assert torch.equal(param.detach(), torch.linspace(1, 2, 5)) is expected
    assert not params[1].detach().any()


def test_the_others_are_put_back_after_slow_weights(backend: str) -> None:
    params = [torch.nn.Parameter(torch.linspace(1, 2, 5)) for _ in range(3)]
    opt = fronts.Lookahead(fronts.SGD(params, lr=0.1), k=5)
    opt.step(closure_of(opt, params))
    before = params[0].detach().clone()
    with pytest.raises(RuntimeError, match="other memory"), opt.swap_slow_weights():
        params[1].data = torch.zeros(5)
    assert torch.equal(params[0].detach(), before)
    assert torch.equal(params[2].detach(), before)
    assert not params[1].detach().any()
