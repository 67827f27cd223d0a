"""Steps in directions are taken whole or not at all, and all options are for them, too."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from gradstep.directions import newton_schulz, soap
from tests.directions.problems import gradients, muon, params
from tests.helpers import Array, assert_same_bits, everything
from tests.specs_of_matrices import CASE_IDS, CASES, made

pytestmark = pytest.mark.usefixtures("backend")
BY_CASE = pytest.mark.parametrize(("spec", "variant"), CASES, ids=CASE_IDS)


def begun(spec: Any, variant: Any, **options: Any) -> Any:
    """An optimizer after two steps."""
    opt = made(spec.cls, params(), variant.options | options)
    for step in range(2):
        opt.step(gradients(dict(opt.params), step))
    return opt


@BY_CASE
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["wide", "kernel"])
def test_what_is_not_finite_is_an_error_that_changes_nothing(
    spec: Any, variant: Any, value: float, name: str
) -> None:
    opt = begun(spec, variant)
    before = everything(opt)
    grads = gradients(dict(opt.params), 2)
    grads[name].reshape(-1)[3] = value
    with pytest.raises(FloatingPointError, match=f"direction of parameter '{name}' is not finite"):
        opt.step(grads)
    assert_same_bits(everything(opt), before)
    assert opt.steps == 2
    assert opt.step(grads, skip_nonfinite=True).skipped
    assert_same_bits(everything(opt), before)
    opt.step(gradients(dict(opt.params), 2))
    assert opt.steps == 3


def test_a_direction_that_overflows_is_skipped_though_the_norm_is_finite() -> None:
    w = np.ones((3, 3), np.float32)
    opt = gs.Muon(w, ns_coefficients=(1e6, 0.0, 0.0), ns_steps=10, skip_nonfinite=True)
    info = opt.step(np.ones((3, 3), np.float32))
    assert info.skipped
    assert np.isfinite(info.grad_norm)
    np.testing.assert_array_equal(w, 1.0)


@pytest.mark.parametrize("size", [1e-30, 1e25])
def test_directions_do_not_depend_on_the_size_of_gradients(size: float) -> None:
    grad = np.float32(np.random.default_rng(0).normal(size=(5, 7)))
    ours, theirs = np.zeros((5, 7), np.float32), np.zeros((5, 7), np.float32)
    gs.Muon(ours, lr=1.0, eps=0.0).step(np.float32(grad * size))
    gs.Muon(theirs, lr=1.0, eps=0.0).step(grad)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


@BY_CASE
def test_an_illegal_gradient_changes_nothing(spec: Any, variant: Any) -> None:
    opt = begun(spec, variant)
    before = everything(opt)
    grads = gradients(dict(opt.params), 2)
    grads["fortran"] = grads["fortran"].T
    with pytest.raises(ValueError, match=r"gradient 'fortran' has shape .* It is transposed"):
        opt.step(grads)
    assert_same_bits(everything(opt), before)
    assert opt.steps == 2


@BY_CASE
@pytest.mark.parametrize("at", ["ahead", "between"])
def test_an_interrupt_ahead_of_the_step_changes_nothing(
    spec: Any, variant: Any, at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opt = begun(spec, variant)
    twin = begun(spec, variant)
    before = everything(opt)

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if at == "ahead":
            patch.setattr("gradstep.directions.ahead.Ahead.average", interrupted)
        else:
            patch.setattr(newton_schulz.NewtonSchulz, "orthogonalize", interrupted)
            patch.setattr(soap.SoapDirections, "_direct", interrupted)
        with pytest.raises(KeyboardInterrupt):
            opt.step(gradients(dict(opt.params), 2))
    assert_same_bits(everything(opt), before)
    for each in (opt, twin):
        each.step(gradients(dict(each.params), 2))
    assert_same_bits(everything(opt), everything(twin))
    assert opt.steps == twin.steps == 3


@BY_CASE
def test_an_interrupt_within_the_step_finds_it_taken(
    spec: Any, variant: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the reference's table, which is Python's, may be interrupted when all has been written."""
    opt, twin = begun(spec, variant), begun(spec, variant)
    table = opt._layout.table

    class Interrupted:
        def __getattr__(self, name: str) -> Any:
            return getattr(inner, name)

        def apply(self, *args: Any) -> None:
            inner.apply(*args)
            raise KeyboardInterrupt

    inner = table._table
    monkeypatch.setattr(table, "_table", Interrupted())
    with pytest.raises(KeyboardInterrupt):
        opt.step(gradients(dict(opt.params), 2))
    twin.step(gradients(dict(twin.params), 2))
    assert_same_bits(everything(opt), everything(twin))
    assert opt.steps == 3


@BY_CASE
@pytest.mark.parametrize("how", ["state_dict", "pickle", "deepcopy", "file"])
def test_training_goes_on_from_a_copy(spec: Any, variant: Any, how: str, tmp_path: Any) -> None:
    opt = begun(spec, variant, ema_decay=0.9, state_dtype="bfloat16")
    if how == "deepcopy":
        other = copy.deepcopy(opt)
    elif how == "pickle":
        other = pickle.loads(pickle.dumps(opt))
    else:
        ours = {name: p.copy(order="K") for name, p in opt.params.items()}
        options = {"ema_decay": 0.9, "state_dtype": "bfloat16"}
        other = made(spec.cls, ours, variant.options | options)
        if how == "state_dict":
            other.load_state_dict(opt.state_dict())
        else:
            pytest.importorskip("safetensors", reason="safetensors is not installed")
            gs.save(tmp_path / "a.safetensors", opt)
            gs.load(tmp_path / "a.safetensors", other)
    for each in (opt, other):
        for step in range(2, 15):
            each.step(gradients(dict(each.params), step))
    assert_same_bits(everything(other), everything(opt))


@BY_CASE
def test_workspaces_are_no_state(spec: Any, variant: Any) -> None:
    opt = begun(spec, variant)
    of_one = opt.state_dict()["state"]["square"]
    assert {*of_one} == {"step", *opt.state["square"]}
    assert not {"direction", "rotated"} & {*of_one}
    of_one = opt.state_dict()
    of_one["state"]["square"]["direction"] = np.zeros((32, 32), np.float32)
    with pytest.raises(ValueError, match=r"'direction'.* no state of an optimizer"):
        opt.load_state_dict(of_one)


@BY_CASE
def test_a_gradient_that_converts_once_is_read_once(spec: Any, variant: Any) -> None:
    """Directions and state are of the same gradient, though its object gives another each time."""
    calls = []

    class Once:
        def __init__(self, values: Array) -> None:
            self.values = values

        def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
            calls.append(None)
            return self.values * len(calls)

    opt, twin = begun(spec, variant), begun(spec, variant)
    grads = gradients(dict(opt.params), 2)
    opt.step(grads | {"square": Once(grads["square"])})
    twin.step(grads)
    assert len(calls) == 1
    assert_same_bits(everything(opt), everything(twin))


def schedule(calls: list[int]) -> Callable[[int], float]:
    def lr(step: int) -> float:
        calls.append(step)
        return 0.1 / (1 + step)

    return lr


def test_schedules_are_asked_once_in_a_step_and_directions_follow_them() -> None:
    calls: list[int] = []
    ours, theirs = params(), params()
    opt = muon(ours, lr=schedule(calls), momentum=lambda t: 0.5 + 0.1 * (t % 2))
    twin = muon(theirs)
    calls.clear()
    for step in range(4):
        twin.groups[-1].update(lr=0.1 / (1 + step), momentum=0.5 + 0.1 * (step % 2))
        grads = gradients(ours, step)
        opt.step(grads)
        twin.step(grads)
    assert calls == [0, 1, 2, 3]
    assert_same_bits(everything(opt), everything(twin))


@pytest.mark.parametrize("rounding", ["nearest", "stochastic", "kahan"])
@BY_CASE
def test_narrow_parameters(spec: Any, variant: Any, rounding: str) -> None:
    rng = np.random.default_rng(0)
    w = rng.normal(size=(24, 40)).astype(np.float16)
    wide = w.astype(np.float32)
    opt = made(spec.cls, {"w": w}, variant.options | {"rounding": rounding})
    twin = made(spec.cls, {"w": wide}, variant.options)
    for _ in range(6):
        grad = rng.normal(size=(24, 40)).astype(np.float32)
        opt.step({"w": grad})
        twin.step({"w": grad})
    np.testing.assert_allclose(w.astype(np.float32), wide, atol=6 * 2.0**-9)
    slot = next(iter(twin.state["w"]))
    np.testing.assert_array_equal(opt.state["w"][slot], twin.state["w"][slot])


REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "vector": (
        lambda: gs.Muon({"b": np.zeros(3)}),
        r"Muon steps matrices, and parameter 'b' is a vector, of shape \(3,\); put it into a group",
    ),
    "scalar": (lambda: gs.Muon(np.zeros(())), "parameter '0' is a scalar"),
    "coupled": (
        lambda: gs.Muon(np.zeros((2, 2)), decoupled_weight_decay=False),
        "decoupled_weight_decay=False would add weight_decay·p to the gradient",
    ),
    "adaptive": (
        lambda: gs.Muon(np.zeros((2, 2)), clip_adaptive=0.1),
        "Muon's step does not depend on their size",
    ),
    "steps": (lambda: gs.Muon(np.zeros((2, 2)), ns_steps=100), r"an int in \[0, 100\), got 100"),
    "coefficient": (
        lambda: gs.Muon(np.zeros((2, 2)), ns_coefficients=(1.0, np.inf, 1.0)),
        r"ns_coefficients\[1\] must be",
    ),
    "name": (lambda: gs.Muon(np.zeros((2, 2)), adjust_lr_fn="x"), 'None, "original" or "match_rm'),
    "soap_coupled": (
        lambda: gs.SOAP(np.zeros((2, 2)), decoupled_weight_decay=False),
        "SOAP rotates before parameters are read",
    ),
    "soap_adaptive": (
        lambda: gs.SOAP(np.zeros((2, 2)), clip_adaptive=0.1),
        "SOAP rotates units into one another",
    ),
    "frequency": (
        lambda: gs.SOAP(np.zeros((2, 2)), precondition_frequency=0),
        "precondition_frequency must be an integer ≥ 1, got 0",
    ),
}


@pytest.mark.parametrize(("make", "text"), REFUSED.values(), ids=REFUSED.keys())
def test_refusals_say_what_to_do(make: Callable[[], object], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        make()


def test_the_advice_about_vectors_can_be_followed() -> None:
    ours = params()
    with pytest.raises(ValueError, match="groups=") as error:
        gs.Muon(ours)
    advice = str(error.value).partition("groups=")[2]
    opt = gs.Muon(ours, groups=eval(advice))
    opt.step(gradients(ours, 0))
    assert opt.groups[0]["params"] == ("bias", "scalar")
    assert opt.groups[0]["weight_decay"] == 0.0


def test_a_vector_cannot_come_to_muon_later() -> None:
    opt = muon(params())
    with pytest.raises(ValueError, match="'bias' is a vector"):
        opt.groups[0]["optimizer"] = "muon"
    assert opt.groups[0]["optimizer"] == "adamw"
    opt.groups[1]["optimizer"] = "adamw"
    opt.step(gradients(dict(opt.params), 0))
    assert "exp_avg" in opt.state["wide"]
