"""gradstep.torch.LBFGS in the place of torch.optim.LBFGS."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

from tests.torch.twins import front, ours_only

torch = pytest.importorskip("torch", reason="torch is not installed: pip install '.[torch]'")
data = pytest.importorskip("torch.testing._internal.common_optimizers")

DB = {info.name: info for info in data.optim_db}["LBFGS"]
INPUTS = DB.optim_inputs_func(device="cpu", dtype=torch.float32)
ERRORS = DB.optim_error_inputs_func(device="cpu", dtype=torch.float64)
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-9}
# Steps multiply roundings: torch's own parameters differ by 0.04 after two steps in float32, where
# they begin one unit in the last place further on.
STEPS = {torch.float32: 1, torch.float64: 3}


class Run:
    """Ridge regression, which does not multiply roundings."""

    def __init__(self, optim: Any, dtype: Any = torch.float64, **options: Any) -> None:
        generator = torch.Generator().manual_seed(0)
        self.x = torch.randn(40, 4, dtype=dtype, generator=generator)
        self.y = torch.randn(40, 2, dtype=dtype, generator=generator)
        self.w = torch.nn.Parameter(torch.randn(4, 2, dtype=dtype, generator=generator) / 2)
        self.b = torch.nn.Parameter(torch.zeros(2, dtype=dtype))
        self.params = [self.w, self.b]
        self.opt = optim.LBFGS(self.params, **options)
        self.calls = 0

    def closure(self) -> Any:
        self.calls += 1
        self.opt.zero_grad()
        loss = torch.nn.functional.mse_loss(self.x @ self.w + self.b, self.y)
        loss = loss + 0.1 * self.w.square().sum()
        loss.backward()
        return loss.detach()

    def step(self) -> Any:
        return self.opt.step(self.closure)

    @property
    def state(self) -> dict[str, Any]:
        return dict(self.opt.state[self.w])


def assert_alike(ours: Run, theirs: Run, tolerance: float) -> None:
    for mine, its in zip(ours.params, theirs.params, strict=True):
        torch.testing.assert_close(mine, its, rtol=tolerance, atol=tolerance)
    assert ours.calls == theirs.calls
    for count in ("func_evals", "n_iter"):
        assert ours.state[count] == theirs.state[count]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("search", [None, "strong_wolfe"])
@pytest.mark.parametrize("given", INPUTS, ids=[given.desc for given in INPUTS])
def test_trains_as_torch(given: Any, search: str | None, dtype: Any, backend: str) -> None:
    options = {"max_iter": 5, "lr": 0.5} | given.kwargs | {"line_search_fn": search}
    # A float32 tensor as lr makes torch compute step lengths in float32; ours are in float64.
    as_number = options | {"lr": float(options["lr"])}
    ours, theirs = Run(front, dtype, **options), Run(torch.optim, dtype, **as_number)
    tolerance = TOLERANCE[dtype]
    for _ in range(STEPS[dtype]):
        assert float(ours.step()) == pytest.approx(float(theirs.step()), rel=tolerance)
        assert_alike(ours, theirs, tolerance)
    assert len(ours.state["old_dirs"]) == len(theirs.state["old_dirs"])
    for entry in ("d", "prev_flat_grad"):
        torch.testing.assert_close(
            ours.state[entry], theirs.state[entry], rtol=0.01, atol=tolerance
        )
    for number in ("t", "H_diag", "prev_loss"):
        expected = pytest.approx(float(theirs.state[number]), rel=100 * tolerance)
        assert float(ours.state[number]) == expected
    expected = pytest.approx(list(map(float, theirs.state["ro"])), rel=100 * tolerance)
    assert list(map(float, ours.state["ro"])) == expected


@pytest.mark.parametrize("error", ERRORS, ids=[e.optimizer_error_input.desc for e in ERRORS])
def test_refuses_what_torch_refuses(error: Any) -> None:
    given = error.optimizer_error_input
    params = [torch.nn.Parameter(torch.ones(2))] if given.params is None else given.params
    with pytest.raises(error.error_type, match=error.error_regex):
        front.LBFGS(params, **given.kwargs)


@pytest.mark.parametrize("way", ["to torch", "from torch"])
def test_states_go_both_ways(way: str, backend: str) -> None:
    options = {"line_search_fn": "strong_wolfe", "max_iter": 4, "history_size": 3}
    one, other = (front, torch.optim) if way == "to torch" else (torch.optim, front)
    first, expected = Run(one, **options), Run(torch.optim, **options)
    for run in (first, expected):
        run.step()
        run.step()
    second = Run(other, **options)
    for param, now in zip(second.params, first.params, strict=True):
        param.data.copy_(now.data)
    second.opt.load_state_dict(copy.deepcopy(first.opt.state_dict()))
    second.calls = first.calls
    for _ in range(2):
        second.step()
        expected.step()
    assert_alike(second, expected, 1e-10)


def test_torch_continues_with_a_growing_history(backend: str) -> None:
    options = {"line_search_fn": "strong_wolfe", "max_iter": 3, "max_eval": 30}
    ours, theirs = Run(front, **options), Run(torch.optim, **options)
    ours.step()
    theirs.opt.load_state_dict(copy.deepcopy(ours.opt.state_dict()))
    for mine, its in zip(ours.params, theirs.params, strict=True):
        its.data.copy_(mine.data)
    theirs.calls = ours.calls
    assert float(theirs.step()) == pytest.approx(float(ours.step()), rel=1e-12)
    assert len(theirs.state["old_dirs"]) == 5
    assert_alike(ours, theirs, 1e-10)


@pytest.mark.parametrize("tolerance", [0.0, 0.01])
def test_searches_end_where_those_of_torch_end(tolerance: float, backend: str) -> None:
    def run(optim: Any) -> tuple[Any, Any]:
        w = torch.nn.Parameter(torch.tensor(np.random.default_rng(1).normal(size=10)))
        opt = optim.LBFGS(
            [w], max_iter=60, line_search_fn="strong_wolfe", tolerance_change=tolerance
        )

        def closure() -> Any:
            opt.zero_grad()
            loss = (w.abs() + 0.1 * w.square()).sum()
            loss.backward()
            return loss

        opt.step(closure)
        return opt.state[w]["n_iter"], opt.state[w]["func_evals"]

    assert run(front) == run(torch.optim)


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
def test_autograd_hears_of_the_last_write(search: str | None) -> None:
    w = torch.nn.Parameter(torch.ones(3))
    opt, kept = front.LBFGS([w], lr=0.1, max_iter=1, line_search_fn=search), []

    def closure() -> Any:
        opt.zero_grad()
        kept.append(w.pow(4).sum())
        kept[-1].backward(retain_graph=True)
        return kept[-1].detach()

    opt.step(closure)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        kept[-1].backward()


@pytest.mark.parametrize("absent", [1, 2])
def test_a_gradient_that_is_none_is_zero(absent: int, backend: str) -> None:
    def run(optim: Any) -> list[Any]:
        v, w = (torch.nn.Parameter(torch.full((2,), each)) for each in (2.0, 3.0))
        opt, calls = optim.LBFGS([v, w], lr=0.1, max_iter=4), []

        def closure() -> Any:
            calls.append(1)
            v.grad = 2 * v.detach()
            w.grad = None if len(calls) >= absent else 4 * w.detach()
            return (v.square() + 2 * w.square()).sum()

        opt.step(closure)
        return [v.detach(), w.detach()]

    torch.testing.assert_close(run(front), run(torch.optim), rtol=1e-5, atol=1e-6)


@ours_only
def test_last_info_tells_of_a_step_that_was_undone() -> None:
    run = Run(front, max_iter=3, max_eval=9)
    assert run.opt.last_info is None
    run.step()
    assert (run.opt.last_info.skipped, run.opt.last_info.iterations) == (False, 3)
    run.opt.step(lambda: run.closure() * float("nan"))
    assert (run.opt.last_info.skipped, run.opt.last_info.stopped) == (True, "nonfinite")


@ours_only
@pytest.mark.parametrize("calls", [0, 3])
@pytest.mark.parametrize("kind", [ZeroDivisionError, KeyboardInterrupt, "NaN"])
def test_a_step_that_fails_changes_nothing(kind: Any, calls: int, backend: str) -> None:
    zero = {"tolerance_grad": 0.0, "tolerance_change": 0.0}
    run = Run(front, line_search_fn="strong_wolfe", max_iter=5, history_size=3, **zero)
    run.step()
    run.step()
    params = [param.detach().clone() for param in run.params]
    state, run.calls = copy.deepcopy(run.state), 0

    def closure() -> Any:
        loss = run.closure()
        if run.calls > calls:
            if kind == "NaN":
                return loss * float("nan")
            raise kind
        return loss

    if kind == "NaN":
        run.opt.step(closure)
    else:
        with pytest.raises(kind):
            run.opt.step(closure)
    for param, before in zip(run.params, params, strict=True):
        torch.testing.assert_close(param.detach(), before, rtol=0, atol=0)
    assert state.keys() == run.state.keys()
    for entry, value in state.items():
        if not isinstance(value, (list, torch.Tensor)):
            assert run.state[entry] == value
        else:
            torch.testing.assert_close(run.state[entry], value, rtol=0, atol=0)


@ours_only
def test_what_the_kernels_do_not_take_is_stepped_by_torch() -> None:
    def after(optim: Any) -> Any:
        w = torch.nn.Parameter(torch.ones(3, dtype=torch.complex128) * (1 + 2j))
        opt = optim.LBFGS([w], line_search_fn="strong_wolfe")

        def closure() -> Any:
            opt.zero_grad()
            loss = (w * w.conj()).real.sum()
            loss.backward()
            return loss

        opt.step(closure)
        return w.detach()

    torch.testing.assert_close(after(front), after(torch.optim), rtol=0, atol=0)


@ours_only
def test_hooks_run_once() -> None:
    run, heard = Run(front, max_iter=2), []
    torch.optim.LBFGS([torch.nn.Parameter(torch.ones(1))])
    run.opt.register_step_pre_hook(lambda *told: heard.append("before"))
    run.opt.register_step_post_hook(lambda *told: heard.append("after"))
    run.step()
    assert heard == ["before", "after"]


@ours_only
def test_a_closure_must_not_take_a_step() -> None:
    run = Run(front)
    with pytest.raises(RuntimeError, match=r"busy with step\(\)"):
        run.opt.step(run.step)


@ours_only
def test_copies_go_on_alone(backend: str) -> None:
    run = Run(front, line_search_fn="strong_wolfe", max_iter=3)
    run.step()
    twin = copy.deepcopy(run)
    assert float(twin.step()) == float(run.step())
    for mine, its in zip(twin.params, run.params, strict=True):
        assert mine is not its
        torch.testing.assert_close(mine, its, rtol=0, atol=0)
