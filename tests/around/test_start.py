"""Steps start where the parameters were, whoever puts them back, and whatever happens."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from gradstep.around.ascent import Ascent
from tests.around.sharp import BOTH, KINDS
from tests.helpers import (
    LOW_THRESHOLD,
    Array,
    ByArray,
    assert_rounded,
    assert_same_bits,
    everything,
)
from tests.spec import Spec, Variant
from tests.specs import ALL_SHARED, CASE_IDS, CASES
from tests.specs_of_matrices import CASE_IDS as MATRIX_IDS
from tests.specs_of_matrices import CASES as MATRIX_CASES
from tests.specs_of_matrices import made

pytestmark = pytest.mark.usefixtures("backend", "low_threshold")

Make = Callable[[dict[str, Array]], Any]


def problem(dtype: str = "float32") -> dict[str, Array]:
    """Enough for three threads and blocks that end anywhere, on memory that begins anywhere."""
    rng = np.random.default_rng(5)
    flat = rng.normal(size=3 * LOW_THRESHOLD).astype(dtype)
    shapes = {"W": (31, 67), "b": (67,), "s": (), "none": (0,)}
    params = {n: np.asarray(rng.normal(size=s).astype(dtype)) for n, s in shapes.items()}
    turned = np.asfortranarray(rng.normal(size=(29, 53)).astype(dtype))
    return params | {"F": turned, "odd": flat[1:1531], "even": flat[1531:]}


def gradients(params: dict[str, Array]) -> dict[str, Array]:
    return {name: p / (1 + np.abs(p)) + p.dtype.type(0.1) for name, p in params.items()}


def check_steps(opt: Any, params: dict[str, Array], steps: int = 3) -> None:
    """Against steps of a copy of the optimizer within, with the same gradients."""
    for _ in range(steps):
        twin, given = copy.deepcopy(opt.optimizer), []
        before = {name: p.copy() for name, p in params.items()}

        def closure() -> Any:
            given.append(gradients(params))  # noqa: B023
            return 1.0, given[-1]  # noqa: B023

        info = opt.step(closure)
        assert any((given[0][n] != given[1][n]).any() for n in params)
        assert_same_bits(given[0], gradients(before))
        expected = twin.step(given[1], skip_nonfinite=True)
        assert (info.grad_norm, info.skipped, info.loss) == (*expected, 1.0)
        assert_same_bits(everything(opt), everything(twin))
        assert opt.steps == twin.steps


@pytest.mark.parametrize(("spec", "variant"), CASES + MATRIX_CASES, ids=CASE_IDS + MATRIX_IDS)
def test_every_optimizer_starts_where_it_was(spec: Spec, variant: Variant) -> None:
    params = problem()
    with gs.runtime.set_num_threads(3):
        check_steps(gs.SAM(made(spec.cls, params, variant.options), rho=3.0), params, 2)


OPTIONS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "clip_norm": {"clip_norm": 0.5},
    "clip_adaptive": {"clip_adaptive": 0.01},
    "coupled_decay": {"weight_decay": 0.1, "decoupled_weight_decay": False},
    "cautious": {"cautious": True},
    "average": {"ema_decay": 0.9},
    "all": ALL_SHARED,
    "schedule": {"lr": gs.schedules.linear(10) * 0.1},
    "8 bits": {"state_dtype": "8bit"},
    "bfloat16": {"state_dtype": "bfloat16"},
}
BEFORE = ("clip_adaptive", "cautious", "all")  # what reads parameters before the pass


@pytest.fixture
def put_back(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many parameters have been put back otherwise than by the pass, each time."""
    sizes: list[int] = []
    plain = Ascent.back

    def back(self: Ascent, members: Any, displaced: Any) -> Any:
        return partial(noted, plain(self, members, displaced), len(members))

    def noted(act: Any, size: int) -> None:
        sizes.append(size)
        act()

    monkeypatch.setattr(Ascent, "back", back)
    return sizes


@pytest.mark.parametrize(("kind", "dtype"), [("SAM", "float32"), ("ASAM", "float64")])
@pytest.mark.parametrize("options", OPTIONS)
def test_with_options_too_and_mostly_in_the_pass(
    options: str, dtype: str, kind: str, backend: str, put_back: list[int]
) -> None:
    if dtype == "float64" and "state_dtype" in OPTIONS[options]:
        return
    params = problem(dtype)
    with gs.runtime.set_num_threads(2):
        check_steps(KINDS[kind](gs.AdamW(params, **{"lr": 0.1} | OPTIONS[options])), params, 2)
    in_pass = backend == "native" and options not in BEFORE
    assert put_back == ([] if in_pass else [len(params)] * 2)


def test_who_needs_the_parameters_before(backend: str, put_back: list[int]) -> None:
    """What has other arrays on them, or more to do than a step."""

    class Own(gs.SGD):
        def step(self, *args: Any, **options: Any) -> Any:
            return super().step(*args, **options)

    def closure(params: dict[str, Array]) -> Any:
        return 1.0, gradients(params)

    makes: list[Make] = [
        lambda params: gs.Lookahead(gs.SGD(params)), lambda params: gs.LAMB(params), Own,
        lambda params: gs.Muon({"W": params["W"]}),
    ]  # fmt: skip
    for make in makes:
        opt = gs.SAM(make(problem()))
        opt.step(partial(closure, dict(opt.params)))
        assert put_back == [len(opt.params)]
        put_back.clear()


@pytest.mark.parametrize("rounding", ["nearest", "stochastic", "kahan", "split"])
def test_half_parameters(rounding: str) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="pip install '.[test]'")
    params = {n: p.astype(ml_dtypes.bfloat16) for n, p in problem().items()}
    opt = gs.SAM(gs.AdamW(params, lr=0.1, rounding=rounding), rho=3.0)
    with gs.runtime.set_num_threads(3):
        check_steps(opt, params)


def test_copies_follow(put_back: list[int], backend: str) -> None:
    params = problem()
    copies = {n: p.astype(np.float16) for n, p in params.items()}
    opt = gs.SAM(gs.AdamW(params, lr=0.1, copies=copies), rho=3.0)
    for _ in range(2):
        opt.step(lambda: (1.0, gradients({n: c.astype(np.float32) for n, c in copies.items()})))
        assert_rounded(copies, params)
    assert len(put_back) == (0 if backend == "native" else 2)


class Stop(BaseException):
    pass


def second(result: Callable[[], Any], params: dict[str, Array]) -> Callable[[], Any]:
    calls: list[int] = []

    def closure() -> Any:
        calls.append(1)
        return result() if len(calls) == 2 else (1.0, gradients(params))

    return closure


def throw(error: BaseException) -> Any:
    raise error


@BOTH
def test_what_is_raised_on_the_way_to_the_step_changes_nothing(kind: str) -> None:
    params = problem()
    opt = KINDS[kind](gs.AdamW(params, lr=0.1, clip_norm=1.0))
    opt.step(lambda: (1.0, gradients(params)))
    before = everything(opt)

    def late() -> Any:
        return 1.0, gradients(params) | {"b": ByArray(params["b"], partial(throw, Stop()))}

    def of_other_shape() -> Any:
        return 1.0, gradients(params) | {"W": np.ones((67, 31))}

    with pytest.raises(Stop):
        opt.step(second(late, params))
    assert_same_bits(everything(opt), before)
    with pytest.raises(ValueError, match="gradient 'W' has shape"):
        opt.step(second(of_other_shape, params))
    assert_same_bits(everything(opt), before)
    with pytest.raises(TypeError, match="unexpected keyword argument 'nothing'"):
        opt.step(second(lambda: (1.0, gradients(params)), params), nothing=1)
    assert_same_bits(everything(opt), before)
    opt.lr = lambda step: throw(Stop())
    with pytest.raises(Stop):
        opt.step(second(lambda: (1.0, gradients(params)), params))
    assert_same_bits(everything(opt), before)
    opt.lr = 0.1
    assert opt.steps == 1
    check_steps(opt, params, 1)


@BOTH
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("options", [{}, {"clip_adaptive": 0.01}, {"cautious": True}])
def test_a_step_that_is_skipped_changes_nothing(
    kind: str, bad: float, options: dict[str, Any]
) -> None:
    params = problem()
    opt = KINDS[kind](gs.AdamW(params, lr=0.1, **options))
    opt.step(lambda: (1.0, gradients(params)))
    before = everything(opt)

    def spoiled() -> Any:
        grads = gradients(params)
        grads["even"][-1] = bad
        return 1.0, grads

    assert opt.step(second(spoiled, params)).skipped
    assert_same_bits(everything(opt), before)
    assert opt.steps == 1
    check_steps(opt, params, 1)


CHANGES: dict[str, Callable[[Any], object]] = {
    "a number": lambda opt: setattr(opt, "lr", 0.5),
    "another rule": lambda opt: setattr(opt, "amsgrad", True),
    "averages": lambda opt: setattr(opt, "ema_decay", 0.5),
    "limits": lambda opt: setattr(opt, "clip_adaptive", 0.01),
    "the backend": lambda opt: gs.runtime.set_backend(gs.runtime.available_backends()[0]),
    "the other backend": lambda opt: gs.runtime.set_backend("numpy"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_a_closure_changes_counts_from_where_the_parameters_were(
    change: str, backend: str
) -> None:
    params = problem()
    opt = gs.SAM(gs.AdamW(params, lr=0.1), rho=3.0)
    opt.step(lambda: (1.0, gradients(params)))
    twin, given = copy.deepcopy(opt.optimizer), list[Any]()

    def changed() -> Any:
        CHANGES[change](opt.optimizer)
        given.append(gradients(params))
        return 1.0, given[0]

    with gs.runtime.set_backend(backend):
        opt.step(second(changed, params))
        CHANGES[change](twin)
        twin.step(given[0])
    assert_same_bits(everything(opt), everything(twin))


def test_a_parameter_without_gradient_stays_where_it_is() -> None:
    params = problem()
    opt = gs.SAM(gs.AdamW(params, lr=0.1), rho=3.0)
    opt.step(lambda: (1.0, gradients(params)))
    before = everything(opt)
    opt.step(lambda: (1.0, gradients(params) | {"W": None, "odd": None}))
    after = everything(opt)
    for name in before:
        assert np.array_equal(before[name], after[name]) == (name[0] in "Wo" or "none" in name)
    check_steps(opt, params, 1)
