"""Averages of the parameters: bias correction, warm-up, equal averages, and swapping them in."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from gradstep import schedules
from gradstep.optimizer import averages, storage
from tests.helpers import Array, assert_same_bits, awkward_params, everything, gradients

STEPS = 60
DECAY = 0.9


def averages_over(ema_decay: Any) -> tuple[list[Array], list[Array]]:
    """The parameters and their average after every step."""
    rng = np.random.default_rng(0)
    w = rng.normal(size=100)
    opt = gs.SGD(w, lr=0.1, momentum=0.9, ema_decay=ema_decay)
    params, averages = [], []
    for _ in range(STEPS):
        opt.step(rng.normal(size=100))
        params.append(w.copy())
        averages.append(opt.ema["0"].copy())
    return params, averages


def debiased(params: list[Array], n: int) -> Any:
    weights = [DECAY ** (n - i) for i in range(n + 1)]
    return sum(w * p for w, p in zip(weights, params, strict=False)) / sum(weights)


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (schedules.debiased_ema(DECAY), debiased),
        (schedules.equal_average(), lambda params, n: np.mean(params[: n + 1], axis=0)),
        (
            schedules.equal_average(start=7),
            lambda params, n: np.mean(params[7 : n + 1], axis=0) if n >= 7 else params[n],
        ),
        (
            schedules.equal_average(start=4, every=5),
            lambda params, n: np.mean(params[4 : n + 1 : 5], axis=0) if n >= 4 else params[n],
        ),
    ],
    ids=["debiased", "equal", "equal from 7", "every fifth from 4"],
)
def test_averages_equal_their_definition(
    schedule: schedules.Schedule, expected: Callable[[list[Array], int], Array]
) -> None:
    params, averages = averages_over(schedule)
    for n, average in enumerate(averages):
        np.testing.assert_allclose(average, expected(params, n), rtol=0, atol=2e-15 * STEPS)


def test_equal_average_equals_torch_swa() -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    import torch
    from torch.optim.swa_utils import AveragedModel

    model = torch.nn.Linear(3, 2, dtype=torch.float64)
    swa = AveragedModel(model)
    params, averages = averages_over(schedules.equal_average(start=5))
    for values in params[5:]:
        with torch.no_grad():
            model.weight.copy_(torch.from_numpy(values[:6].reshape(2, 3)))
        swa.update_parameters(model)
    np.testing.assert_allclose(
        averages[-1][:6].reshape(2, 3), swa.module.weight.detach().numpy(), rtol=1e-13
    )


def test_debiased_ema_equals_optax() -> None:
    optax = pytest.importorskip("optax", reason="optax is not installed")
    params, averages = averages_over(schedules.debiased_ema(DECAY))
    transform = optax.ema(DECAY, debias=True)
    state = transform.init(params[0].astype("f"))
    for values in params:
        theirs, state = transform.update(values.astype("f"), state)
    np.testing.assert_allclose(averages[-1], np.asarray(theirs), rtol=1e-6, atol=1e-6)


def test_warm_up_follows_its_formula_and_rises_to_the_decay() -> None:
    warm = schedules.ema_warmup(0.99, offset=20.0)
    assert [warm(n) for n in range(400)] == [min(0.99, (1 + n) / (20 + n)) for n in range(400)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.usefixtures("backend")
def test_swapping_averages_in_and_out_is_exact(dtype: str) -> None:
    named = awkward_params(dtype)
    named["n17_4"][:3] = np.array([np.nan, -0.0, np.inf])
    plain = {"scalar": named.pop("scalar")}
    opt = gs.Adam([{"params": named}, {"params": plain, "ema_decay": None}], ema_decay=0.5)
    for step in range(3):
        grads = gradients(dict(opt.params), step)
        opt.step(grads)
    before = everything(opt)
    with opt.swap_averages():
        for name in named:
            assert_same_bits({"": opt.params[name]}, {"": before[f"{name}/ema"]})
        assert_same_bits({"": opt.params["scalar"]}, {"": before["scalar"]})
        with pytest.raises(RuntimeError, match=r"busy with swap_averages\(\)"):
            opt.step(grads)
    assert_same_bits(everything(opt), before)


def test_averages_come_back_after_an_exception_and_need_to_be_there() -> None:
    w = np.ones(3)
    opt = gs.SGD(w, lr=1.0, ema_decay=0.5)
    opt.step(np.ones(3))

    def evaluate() -> None:
        assert w[0] == 0.5
        raise InterruptedError

    with pytest.raises(InterruptedError), opt.swap_averages():
        evaluate()
    assert w[0] == 0.0
    opt.ema_decay = None
    with pytest.raises(RuntimeError, match="set ema_decay"), opt.swap_averages():
        pass
    assert opt.step(np.ones(3)).skipped is False


def test_an_interrupt_leaves_no_average_half_swapped() -> None:
    opt = gs.SGD([np.zeros(40_000), np.zeros(3)], lr=1.0, ema_decay=0.5)
    opt.step([np.ones(40_000), np.ones(3)])
    before = everything(opt)
    lines = interrupted = 0

    def trace(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal lines
        if frame.f_code.co_filename != averages.__file__:
            return None
        lines += event == "line"
        if lines == interrupted:
            raise KeyboardInterrupt
        return trace

    def swap() -> bool:
        sys.settrace(trace)
        with opt.swap_averages():
            sys.settrace(None)
        return True

    outer, swapped = sys.gettrace(), False
    while not swapped:
        lines, interrupted = 0, interrupted + 1
        try:
            swapped = swap()
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(outer)
        assert_same_bits(everything(opt), before)
    assert interrupted > 10


@pytest.mark.usefixtures("backend")
def test_an_average_begins_at_the_parameters_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    opt = gs.SGD(np.ones(2), lr=0.5)
    with monkeypatch.context() as patched:
        patched.setattr(storage, "allocate", lambda *_: np.zeros(3))
        opt.ema_decay = 0.5
        with pytest.raises(ValueError, match="broadcast"):
            opt.step(np.ones(2))
    opt.step(np.ones(2))
    np.testing.assert_array_equal(opt.ema["0"], np.full(2, 0.75))
