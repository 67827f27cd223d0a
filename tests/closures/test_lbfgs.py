"""L-BFGS takes the steps that torch.optim.LBFGS takes, and comes where SciPy comes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from tests.closures.problems import PROBLEMS, Problem, rosenbrock, torch_twin
from tests.helpers import assert_same_bits

# Without a search the step size has to suit the problem.
STEP_SIZES = {"rosenbrock": 1e-3, "quadratic": 1.0, "logistic": 0.5}
# Steps multiply roundings: torch's own parameters differ as much where it begins 1e-16 further on.
# On Rosenbrock's function, with three pairs, that is 1e-12 after one step and 5e-10 after two.
STEPS = {"rosenbrock": 1, "quadratic": 4, "logistic": 4}


def run(problem: Problem, steps: int, **options: Any) -> tuple[gs.LBFGS, list[gs.ClosureInfo]]:
    loss, params = problem
    opt = gs.LBFGS(params, **options)
    return opt, [opt.step(lambda: loss(params)) for _ in range(steps)]


@pytest.mark.parametrize("history", [100, 3])
@pytest.mark.parametrize("search", [None, "strong_wolfe"])
@pytest.mark.parametrize("name", PROBLEMS)
def test_takes_the_steps_of_torch(
    name: str, search: str | None, history: int, backend: str
) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    options: dict[str, Any] = {
        "lr": 1.0 if search else STEP_SIZES[name],
        "line_search_fn": search,
        "history_size": history,
    }
    theirs, closure, tensors = torch_twin(PROBLEMS[name](), **options)
    loss, params = PROBLEMS[name]()
    opt = gs.LBFGS(params, **options)
    for _ in range(STEPS[name]):
        first = theirs.step(closure)
        info = opt.step(lambda: loss(params))
        state = theirs.state[tensors[next(iter(tensors))]]
        assert (opt.iterations, opt.evaluations) == (state["n_iter"], state["func_evals"])
        assert info.first_loss == pytest.approx(float(first), rel=1e-10, abs=1e-10)
        for key, param in params.items():
            np.testing.assert_allclose(param, tensors[key].detach().numpy(), rtol=0, atol=1e-10)
    assert history == 100 or opt.iterations > history


@pytest.mark.parametrize("max_eval", [1, 2, 5])
def test_stops_searching_where_torch_does(max_eval: int, backend: str) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    options: dict[str, Any] = {"line_search_fn": "strong_wolfe", "max_eval": max_eval}
    theirs, closure, tensors = torch_twin(rosenbrock(), **options)
    loss, params = rosenbrock()
    opt = gs.LBFGS(params, **options)
    for _ in range(6):
        theirs.step(closure)
        info = opt.step(lambda: loss(params))
        assert info.stopped == "max_eval"
        assert opt.evaluations == theirs.state[tensors["x"]]["func_evals"]
        np.testing.assert_allclose(params["x"], tensors["x"].detach().numpy(), rtol=1e-10)


@pytest.mark.parametrize("name", PROBLEMS)
def test_reaches_the_minimum_of_scipy(name: str, backend: str) -> None:
    optimize = pytest.importorskip("scipy.optimize", reason="scipy is not installed")
    loss, params = PROBLEMS[name]()
    keys = list(params)
    cuts = np.cumsum([params[key].size for key in keys])[:-1]

    def flat(x: Any) -> tuple[float, Any]:
        parts = zip(keys, np.split(x, cuts), strict=True)
        value, grads = loss({key: part.reshape(params[key].shape) for key, part in parts})
        return value, np.concatenate([grads[key].ravel() for key in keys])

    start = np.concatenate([params[key].ravel() for key in keys])
    theirs = optimize.minimize(
        flat, start, jac=True, method="L-BFGS-B", options={"ftol": 1e-15, "gtol": 1e-9}
    )
    _, infos = run((loss, params), 10, line_search_fn="strong_wolfe", tolerance_change=1e-16)
    assert infos[-1].loss == pytest.approx(theirs.fun, rel=1e-12, abs=1e-14)
    found = np.concatenate([params[key].ravel() for key in keys])
    np.testing.assert_allclose(found, theirs.x, atol=1e-6)


@pytest.mark.usefixtures("native")
@pytest.mark.parametrize("search", [None, "strong_wolfe"])
@pytest.mark.parametrize("name", PROBLEMS)
def test_native_equals_reference(name: str, search: str | None) -> None:
    def after(backend: str) -> tuple[Any, Any]:
        with gs.runtime.set_backend(backend):
            problem = PROBLEMS[name]()
            lr = 1.0 if search else STEP_SIZES[name]
            opt, infos = run(problem, 3, lr=lr, line_search_fn=search, history_size=5)
            return infos, problem[1] | flat_state(opt)

    infos, arrays = after("native")
    expected_infos, expected = after("numpy")
    assert infos == expected_infos
    assert_same_bits(arrays, expected)


def flat_state(opt: gs.LBFGS) -> dict[str, Any]:
    state = opt.state_dict()
    vectors = {"direction": state["direction"], "gradient": state["gradient"]}
    for i, pair in enumerate(state["history"]):
        vectors |= {f"s{i}": pair["step"], f"y{i}": pair["change"]}
    return {f"{v}/{name}": array for v, of in vectors.items() for name, array in of.items()}


def test_the_backend_may_change_between_steps() -> None:
    def after(*backends: str) -> Any:
        problem = rosenbrock()
        opt = gs.LBFGS(problem[1], line_search_fn="strong_wolfe", max_iter=3)
        for backend in backends:
            with gs.runtime.set_backend(backend):
                opt.step(lambda: problem[0](problem[1]))
        return problem[1]

    available = gs.runtime.available_backends()
    assert_same_bits(after(available[0], "numpy", available[0]), after("numpy", "numpy", "numpy"))


def test_maximizing_is_minimizing_the_negative(backend: str) -> None:
    def negative(loss: Callable[..., Any], params: Any) -> Any:
        value, grads = loss(params)
        return -value, {name: -grad for name, grad in grads.items()}

    (loss, up), (_, down) = rosenbrock(), rosenbrock()
    climbing = gs.LBFGS(up, line_search_fn="strong_wolfe", maximize=True)
    sinking = gs.LBFGS(down, line_search_fn="strong_wolfe")
    climbed = climbing.step(lambda: negative(loss, up))
    sunk = sinking.step(lambda: loss(down))
    assert_same_bits(up, down)
    assert (climbed.loss, climbed.first_loss) == (-sunk.loss, -sunk.first_loss)
    assert climbed.grad_norm == sunk.grad_norm


def test_gradients_in_other_forms_are_taken(backend: str) -> None:
    def after(form: Callable[[Any], Any]) -> Any:
        params = [np.ones((3, 4)), np.ones(5, np.float32)]
        opt = gs.LBFGS(params, line_search_fn="strong_wolfe")
        opt.step(lambda: (sum(float((p**2).sum()) for p in params), [form(2 * p) for p in params]))
        return dict(enumerate(params))

    expected = after(lambda g: g)
    assert_same_bits(after(np.asfortranarray), expected)
    assert_same_bits(after(lambda g: np.repeat(g, 2, axis=0)[::2]), expected)
    assert_same_bits(after(lambda g: g.astype(g.dtype.newbyteorder())), expected)


def test_a_gradient_may_be_the_parameters_own_memory(backend: str) -> None:
    x = np.arange(5.0)
    info = gs.LBFGS(x, line_search_fn="strong_wolfe").step(lambda: (x @ x / 2, x))
    np.testing.assert_allclose(x, 0.0, atol=1e-14)
    assert info.stopped == "gradient"


def test_parameters_without_a_gradient_stay(backend: str) -> None:
    params = {"w": np.ones(3), "frozen": np.ones(2)}
    opt = gs.LBFGS(params, line_search_fn="strong_wolfe")
    opt.step(lambda: (float(params["w"] @ params["w"]), {"w": 2 * params["w"], "frozen": None}))
    np.testing.assert_array_equal(params["frozen"], 1.0)
    np.testing.assert_allclose(params["w"], 0.0, atol=1e-12)


def test_a_schedule_is_asked_once_a_step(backend: str) -> None:
    asked = []

    def lr(step: int) -> float:
        asked.append(step)
        return 0.1 / (step + 1)

    (loss, scheduled), (_, by_hand) = PROBLEMS["quadratic"](), PROBLEMS["quadratic"]()
    opt, other = gs.LBFGS(scheduled, lr=lr), gs.LBFGS(by_hand, lr=0.1)
    for step in range(3):
        other.lr = 0.1 / (step + 1)
        opt.step(lambda: loss(scheduled))
        other.step(lambda: loss(by_hand))
    assert asked == [0, 1, 2]
    assert_same_bits(scheduled, by_hand)


def test_the_callback_hears_of_every_iteration(backend: str) -> None:
    loss, params = rosenbrock()
    opt = gs.LBFGS(params, line_search_fn="strong_wolfe", max_iter=4)
    heard: list[tuple[int, float, float]] = []
    for _ in range(2):
        info = opt.step(lambda: loss(params), callback=lambda *told: heard.append(told))
    assert [step for step, _, _ in heard] == list(range(1, opt.iterations + 1))
    assert heard[-1][1:] == (info.loss, info.grad_norm)
    value, grads = loss(params)
    assert info.loss == value
    assert info.grad_norm == gs.global_norm(grads)
