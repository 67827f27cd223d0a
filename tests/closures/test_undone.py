"""A step that cannot be taken leaves parameters and history as they were, and says why."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from gradstep.closures.evaluation import evaluated
from tests.closures.problems import rosenbrock
from tests.closures.test_lbfgs import flat_state
from tests.helpers import Array, assert_same_bits


class Stop(Exception):
    """What a closure of the tests raises."""


class Run:
    """An optimizer whose history is full, and closures of it."""

    def __init__(self, search: str | None = "strong_wolfe") -> None:
        self.loss, self.params = rosenbrock()
        lr = 1.0 if search else 1e-3
        self.opt = gs.LBFGS(
            self.params,
            lr,
            max_iter=6,
            history_size=3,
            line_search_fn=search,  # type: ignore[arg-type]
        )
        self.opt.step(self.closure)
        self.calls = 0

    def closure(self) -> Any:
        return self.loss(self.params)

    def after(self, calls: int, act: Callable[[Any], Any]) -> Callable[[], Any]:
        def closure() -> Any:
            self.calls += 1
            returned = self.loss(self.params)
            return act(returned) if self.calls > calls else returned

        return closure

    def everything(self) -> tuple[dict[str, Array], list[Any]]:
        state = self.opt.state_dict()
        arrays = {n: p.copy() for n, p in self.params.items()} | flat_state(self.opt)
        numbers = [state[n] for n in ("steps", "iterations", "evaluations", "scale", "t", "absent")]
        return arrays, [*numbers, *(pair["rho"] for pair in state["history"])]


def raises(kind: type[BaseException]) -> Callable[[Any], Any]:
    def act(returned: Any) -> Any:
        raise kind

    return act


# How a closure goes wrong, and the error and its text; None: it is reported.
WRONG: dict[str, tuple[Callable[[Any], Any], type[BaseException] | None, str]] = {
    "exception": (raises(Stop), Stop, "^$"),
    "interrupt": (raises(KeyboardInterrupt), KeyboardInterrupt, "^$"),
    "exit": (raises(SystemExit), SystemExit, "^$"),
    "NaN loss": (lambda r: (np.nan, r[1]), None, ""),
    "NaN gradient": (lambda r: (r[0], {"x": np.array([np.nan, 1.0])}), None, ""),
    "infinite gradient": (lambda r: (r[0], {"x": np.array([np.inf, 1.0])}), None, ""),
    "loss below all": (lambda r: (-np.inf, r[1]), None, ""),
    "no pair": (lambda r: r[0], TypeError, r"must return \(loss, grads\).*it returned a float"),
    "nothing": (lambda r: None, TypeError, "it returned None"),
    "loss of several": (
        lambda r: (np.ones(3), r[1]),
        TypeError,
        r"the loss that closure returns must be a number, got an array of shape \(3,\); return the",
    ),
    "loss of one": (lambda r: (np.ones(1), r[1]), TypeError, r"return its element: loss.item\(\)"),
    "text": (lambda r: ("1.0", r[1]), TypeError, "must be a number, got '1.0'"),
    "other structure": (
        lambda r: (r[0], [r[1]["x"]]),
        TypeError,
        "closure must return .* of what it returned grads must be a dict with the keys 'x'",
    ),
    "other keys": (
        lambda r: (r[0], {"y": r[1]["x"]}),
        ValueError,
        "of what it returned grads has no entry for 'x'",
    ),
    "other shape": (
        lambda r: (r[0], {"x": np.ones(3)}),
        ValueError,
        r"gradient 'x' has shape \(3,\); expected \(2,\)",
    ),
    "no gradient any more": (
        lambda r: (r[0], {"x": None}),
        ValueError,
        r"closure returned no gradient \(None\) for \['x'\], which had one in the evaluations",
    ),
}


@pytest.mark.parametrize("calls", [0, 1, 5])
@pytest.mark.parametrize("search", [None, "strong_wolfe"])
@pytest.mark.parametrize("wrong", WRONG)
def test_a_step_is_taken_or_not(wrong: str, search: str | None, calls: int, backend: str) -> None:
    act, kind, text = WRONG[wrong]
    run, twin = Run(search), Run(search)
    before = run.everything()
    if kind is None:
        info = run.opt.step(run.after(calls, act))
        assert (info.skipped, info.stopped, info.grad_norm) == (True, "nonfinite", None)
        assert (info.iterations, info.evaluations) == (0, calls + 1)
    else:
        with pytest.raises(kind, match=text):
            run.opt.step(run.after(calls, act))
    assert run.calls == calls + 1
    arrays, numbers = run.everything()
    assert_same_bits(arrays, before[0])
    assert numbers == before[1]
    assert run.opt.step(run.closure) == twin.opt.step(twin.closure)
    assert_same_bits(run.everything()[0], twin.everything()[0])


def test_an_exception_of_the_callback_undoes_the_step(backend: str) -> None:
    run = Run()
    before = run.everything()
    with pytest.raises(ZeroDivisionError):
        run.opt.step(run.closure, callback=lambda step, loss, norm: 1 / (step - 8))
    assert_same_bits(run.everything()[0], before[0])
    assert run.everything()[1] == before[1]


@pytest.mark.parametrize("calls", [1, 3])
def test_an_infinite_loss_is_too_far(calls: int, backend: str) -> None:
    run = Run()
    first = run.loss(run.params)[0]

    def once(returned: Any) -> Any:
        return (np.inf, {"x": np.full(2, np.nan)}) if run.calls == calls + 1 else returned

    info = run.opt.step(run.after(calls, once))
    assert not info.skipped
    assert np.isfinite(info.loss)
    assert info.loss < first
    assert np.isfinite(run.params["x"]).all()


def test_a_search_that_finds_nothing_is_reported(backend: str) -> None:
    """Of a gradient that points uphill."""
    x = np.ones(2)
    info = gs.LBFGS(x, line_search_fn="strong_wolfe").step(lambda: (x @ x, -2 * x))
    assert info.line_search in ("max_eval", "interval")
    assert not info.skipped
    np.testing.assert_array_equal(x, 1.0)


def test_one_step_at_a_time(backend: str) -> None:
    run = Run()
    before = run.everything()

    def within() -> Any:
        run.opt.step(run.closure)

    with pytest.raises(RuntimeError, match=r"busy with step\(\)"):
        run.opt.step(within)
    for method in (run.opt.state_dict, lambda: run.opt.load_state_dict({})):
        with pytest.raises(RuntimeError, match="this optimizer is busy"):
            run.opt.step(method)
    assert_same_bits(run.everything()[0], before[0])


def test_parameters_that_the_closure_takes_away(backend: str) -> None:
    run = Run()
    before = run.everything()

    def locked(returned: Any) -> Any:
        run.params["x"].flags.writeable = False
        return returned

    with pytest.raises(ValueError, match="parameter 'x' is no longer the writeable array"):
        run.opt.step(run.after(2, locked))
    run.params["x"].flags.writeable = True
    assert_same_bits(run.everything()[0], before[0])


def test_parameters_cannot_be_resized_meanwhile(backend: str) -> None:
    run = Run()

    def resized(returned: Any) -> Any:
        run.params["x"].resize(100_000, refcheck=False)

    with pytest.raises(ValueError, match="resize"):
        run.opt.step(run.after(1, resized))
    assert run.params["x"].shape == (2,)


RESIZED = """
import sys
import numpy as np
import gradstep as gs

class Named(np.ndarray):
    pass

base = np.zeros(100_000)
x = {"view": base[:], "view of a subclass's": base.view(Named)[:], "subclass": base.view(Named)}
if sys.argv[1] == "owner of a subclass":
    base = Named(100_000)
    base[...] = 0.0
    x["owner of a subclass"] = base
x = x[sys.argv[1]]
opt = gs.LBFGS(x, max_iter=4)

def closure():
    base.resize(0, refcheck=False)
    return 1.0, np.ones(100_000)

try:
    opt.step(closure)
except ValueError as error:
    assert "resize" in str(error), error
    assert x.size == base.size == 100_000
    print("refused")
"""


@pytest.mark.parametrize(
    "what", ["view", "view of a subclass's", "subclass", "owner of a subclass"]
)
def test_nor_can_the_memory_that_they_are_views_of(what: str) -> None:
    command = [sys.executable, "-c", RESIZED, what]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.stdout == "refused\n", (run.returncode, run.stderr)


def test_a_best_that_would_be_put_back_is_refused_meanwhile(backend: str) -> None:
    run = Run()
    stopping = gs.EarlyStopping()
    stopping.update(1.0, run.params)
    with pytest.raises(RuntimeError, match=r"for the time of step\(\)"):
        run.opt.step(run.after(1, lambda returned: stopping.restore(run.params)))


@pytest.mark.usefixtures("native")
def test_interrupts_at_any_time_leave_a_step_taken_or_not() -> None:
    import _thread
    import time

    run = Run()
    ends = [run.everything()]
    twin = Run()
    twin.opt.step(twin.closure)
    ends.append(twin.everything())
    interrupted = 0
    state = run.opt.state_dict()
    for k in range(40):
        for name, param in run.params.items():
            param[...] = ends[0][0][name]
        run.opt.load_state_dict(state)
        timer = threading.Timer(k * 2e-5, _thread.interrupt_main)
        try:
            timer.start()
            run.opt.step(run.closure)
            time.sleep(0.1)
        except KeyboardInterrupt:
            interrupted += 1
        timer.join()
        arrays, numbers = run.everything()
        taken = numbers == ends[1][1]
        assert numbers == ends[taken][1]
        assert_same_bits(arrays, ends[taken][0])
    assert interrupted == 40


def test_errors_that_are_made_in_other_ways_come_through_as_their_kind() -> None:
    def align(grads: Any) -> Any:
        return grads.decode("ascii")

    with pytest.raises(ValueError, match=r"must return \(loss, grads\).*can't decode byte"):
        evaluated(lambda: (1.0, b"\xff"), align)
