"""gs.minimize, with and without closures."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from tests.closures.problems import PROBLEMS

WOLFE = partial(gs.LBFGS, line_search_fn="strong_wolfe")


def ravine(w: Any) -> tuple[float, Any]:
    return float(w[0] ** 2 + 8 * w[1] ** 2), np.array([2 * w[0], 16 * w[1]])


class Counted:
    def __init__(self, fun: Any) -> None:
        self.fun, self.calls = fun, 0

    def __call__(self, x: Any) -> Any:
        self.calls += 1
        return self.fun(x)


OPTIMIZERS: dict[str, Any] = {
    "LBFGS": gs.LBFGS,
    "fixed steps": partial(gs.LBFGS, lr=0.5, tolerance_change=1e-16),
    "Adam": partial(gs.Adam, lr=0.1),
    "SGD": lambda params: gs.SGD(params, lr=0.05, momentum=0.5),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_comes_to_the_minimum(name: str, backend: str) -> None:
    fun, x0 = Counted(ravine), np.ones(2)
    heard: list[tuple[int, float, float]] = []
    found = gs.minimize(
        fun, x0, OPTIMIZERS[name], tol=1e-6, callback=lambda *told: heard.append(told)
    )
    assert (found.success, found.status) == (True, 0)
    assert found.message == "the gradient's norm is at most tol"
    assert gs.global_norm(found.jac) <= 1e-6
    loss, grads = ravine(found.x)
    assert found.fun == loss
    np.testing.assert_array_equal(found.jac, grads)
    np.testing.assert_array_equal(x0, 1.0)
    assert found.nfev == fun.calls
    assert [step for step, _, _ in heard] == list(range(1, found.nit + 1))


@pytest.mark.parametrize("name", PROBLEMS)
def test_takes_nested_parameters(name: str, backend: str) -> None:
    loss, x0 = PROBLEMS[name]()
    found = gs.minimize(loss, x0, gs.LBFGS, tol=1e-7)
    assert found.success
    assert found.x.keys() == x0.keys()
    assert found.jac.keys() == x0.keys()
    assert all(found.x[key].shape == x0[key].shape for key in x0)


def test_the_fields_are_those_of_scipy() -> None:
    optimize = pytest.importorskip("scipy.optimize", reason="scipy is not installed")
    theirs = optimize.minimize(lambda x: ravine(x), np.ones(2), jac=True, method="BFGS")
    ours = gs.minimize(ravine, np.ones(2), WOLFE)
    for name in ("x", "fun", "jac", "nit", "nfev", "success", "status", "message"):
        assert name in theirs
        assert isinstance(getattr(ours, name), type(theirs[name])) or name == "fun"


def test_begins_at_the_minimum() -> None:
    for optimizer in OPTIMIZERS.values():
        found = gs.minimize(ravine, np.zeros(2), optimizer)
        assert (found.success, found.nit, found.nfev) == (True, 0, 1)


def test_too_few_steps() -> None:
    for optimizer, options in ((gs.Adam, {}), (partial(WOLFE, max_iter=1), {"tol": 1e-12})):
        found = gs.minimize(ravine, np.ones(2), optimizer, max_steps=3, **options)
        assert (found.success, found.status, found.nit) == (False, 1, 3)
        assert "after max_steps steps" in found.message


def test_an_optimizer_that_moves_no_further() -> None:
    found = gs.minimize(ravine, np.ones(2), partial(WOLFE, tolerance_grad=0.1), tol=1e-6)
    assert (found.success, found.status) == (False, 2)
    assert found.message.endswith("lower its tolerance_grad and tolerance_change, or raise tol")
    for optimizer in (partial(WOLFE, tolerance_grad=0), gs.LBFGS):  # as far as roundings let it
        lowest = gs.minimize(
            PROBLEMS["logistic"]()[0], PROBLEMS["logistic"]()[1], optimizer, tol=0.0
        )
        assert lowest.status == 2
        assert lowest.nit < 300
    assert gs.global_norm(lowest.jac) < 1e-6
    assert "losses in float64 cannot tell points apart any more" in lowest.message
    assert "tolerance" not in lowest.message
    uphill = gs.minimize(lambda w: (ravine(w)[0], -ravine(w)[1]), np.ones(2), WOLFE)
    assert uphill.status == 2
    np.testing.assert_array_equal(uphill.x, 1.0)


@pytest.mark.parametrize("calls", [0, 2])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_losses_that_are_not_finite(name: str, calls: int) -> None:
    fun = Counted(ravine)
    found = gs.minimize(
        lambda w: fun(w) if fun.calls < calls else (np.nan, np.ones(2)),
        np.ones(2),
        OPTIMIZERS[name],
    )
    assert (found.success, found.status) == (False, 3)
    assert np.isfinite(found.x).all()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_callback_may_end_it(name: str) -> None:
    def callback(step: int, loss: float, norm: float) -> None:
        if step == 2:
            raise StopIteration

    found = gs.minimize(ravine, np.ones(2), OPTIMIZERS[name], tol=0.0, callback=callback)
    assert (found.success, found.status) == (False, 99)
    assert found.nit >= 2


def test_errors_of_the_function_come_through() -> None:
    with pytest.raises(ZeroDivisionError):
        gs.minimize(lambda w: 1 / 0, np.ones(2), WOLFE)
    with pytest.raises(TypeError, match=r"must return \(loss, grads\)"):
        gs.minimize(lambda w: 1.0, np.ones(2), gs.Adam)  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize("x0", [np.array([1, 1]), [1, 1], (1.0, 1)])
def test_numbers_become_floats(x0: Any) -> None:
    found = gs.minimize(ravine, x0, gs.LBFGS)
    assert found.success
    assert found.x.dtype == np.float64
    nested = gs.minimize(lambda p: (0.0, {"a": 0 * p["a"]}), {"a": [[1, 2], [3, 4]]}, gs.Adam)
    np.testing.assert_array_equal(nested.x["a"], [[1.0, 2.0], [3.0, 4.0]])
    with pytest.raises(ValueError, match=r"x0 has a list of numbers whose parts differ in length"):
        gs.minimize(ravine, [[1, 2], [3]], WOLFE)


def test_fields_are_entries() -> None:
    found = gs.minimize(ravine, np.ones(2), WOLFE)
    assert found["x"] is found.x
    assert dict(found)["nfev"] == found.nfev
    with pytest.raises(KeyError, match="'y'; there are x, fun, jac"):
        found["y"]


def test_lookahead_is_followed_and_sam_is_not() -> None:
    found = gs.minimize(ravine, np.ones(2), lambda x: gs.Lookahead(gs.SGD(x, lr=0.05), k=3))
    assert (found.success, found.nit + 1) == (True, found.nfev)
    for around in (gs.SAM, lambda opt: gs.Lookahead(gs.ASAM(opt))):
        with pytest.raises(TypeError, match=r"gradients of A?SAM are those of worse points nearby"):
            gs.minimize(ravine, np.ones(2), lambda x: around(gs.SGD(x)))  # noqa: B023


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"fun": 1.0}, r"fun must be a function of x that returns \(loss, grads\), got a float"),
        ({"optimizer": "LBFGS"}, "optimizer must be a function of the parameters, or a class"),
        ({"optimizer": lambda p: 3}, "optimizer must make an optimizer of gradstep's, got a int"),
        ({"tol": -1}, "tol must be a finite number ≥ 0"),
        ({"max_steps": 0}, "max_steps must be an integer ≥ 1"),
        ({"callback": 5}, "callback must be a function of"),
    ],
)
def test_arguments_that_are_none_are_refused(arguments: dict[str, Any], text: str) -> None:
    given = {"fun": ravine, "x0": np.ones(2), "optimizer": WOLFE} | arguments
    with pytest.raises((TypeError, ValueError), match=text):
        gs.minimize(**given)
