"""What runs while a step reads its gradients may do anything: it is right, or changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from tests.helpers import SIZE, Array, ByArray, assert_same_bits, everything

pytestmark = pytest.mark.usefixtures("backend")


class ByDLPack(ByArray):
    def __dlpack__(self, **options: Any) -> Any:
        self.act()
        return self.values.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0


class ByMapping(Mapping[str, Any]):
    """All gradients, in a mapping that does something before it gives the second."""

    def __init__(self, grads: dict[str, Any], act: Callable[[], object]) -> None:
        self.grads, self.act = grads, act

    def __getitem__(self, name: str) -> Any:
        if name == "b":
            self.act()
        return self.grads[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.grads)

    def __len__(self) -> int:
        return len(self.grads)


def ones() -> dict[str, Array]:
    return {name: np.ones(SIZE, np.float32) for name in "abc"}


def adam(params: Any) -> gs.Adam:
    return gs.Adam(params, lr=0.1, ema_decay=0.5, clip_norm=1.0)


class Stage:
    """An optimizer after one step, and gradients for the next."""

    def __init__(self) -> None:
        self.params, self.grads = ones(), ones()
        self.opt = adam(self.params)
        self.opt.step(self.grads)

    def step(self, act: Callable[[], object], form: Any = ByArray) -> None:
        if form is ByMapping:
            self.opt.step(ByMapping(self.grads, act))
        else:
            self.opt.step({**self.grads, "b": form(self.grads["b"], act)})


def resize(array: Array, size: int) -> None:
    array.resize(size, refcheck=False)


def read_only(array: Array) -> None:
    array.flags.writeable = False


SPOILT: dict[str, tuple[Callable[[Stage], None], type[Exception], str]] = {
    "gradient longer": (
        lambda s: resize(s.grads["a"], 100 * SIZE),
        ValueError,
        r"gradient 'a' has shape \(10000000,\); expected \(100000,\)",
    ),
    "gradient shorter": (
        lambda s: resize(s.grads["a"], 1),
        ValueError,
        r"gradient 'a' has shape \(1,\)",
    ),
    "later gradient shorter": (
        lambda s: resize(s.grads["c"], 1),
        ValueError,
        r"gradient 'c' has shape \(1,\)",
    ),
    "parameter longer": (
        lambda s: resize(s.params["a"], 100 * SIZE),
        ValueError,
        "parameter 'a' is no longer the writeable array .*undo the change",
    ),
    "parameter read-only": (
        lambda s: read_only(s.params["a"]),
        ValueError,
        "parameter 'a' is no longer the writeable array",
    ),
    "own parameter read-only": (
        lambda s: read_only(s.params["b"]),
        ValueError,
        "parameter 'b' is no longer the writeable array",
    ),
    "state read-only": (
        lambda s: read_only(s.opt.state["a"]["exp_avg"]),
        ValueError,
        r"state\['a'\]\['exp_avg'\] has become read-only; make it writeable again",
    ),
    "average read-only": (
        lambda s: read_only(s.opt.ema["c"]),
        ValueError,
        "the average of 'c' has become read-only; make it writeable again",
    ),
    "state elsewhere": (
        lambda s: s.opt.state["a"]["exp_avg"].__setstate__(np.ones(SIZE, "f").__reduce__()[2]),
        ValueError,
        r"state\['a'\]\['exp_avg'\] is no longer on the memory",
    ),
}


@pytest.mark.parametrize("form", [ByArray, ByDLPack, ByMapping])
@pytest.mark.parametrize("case", SPOILT)
def test_what_is_spoilt_while_gradients_are_read_is_found(case: str, form: Any) -> None:
    spoil, error, text = SPOILT[case]
    stage = Stage()
    spoilt: dict[str, Array] = {}

    def act() -> None:
        if not spoilt:
            spoil(stage)
            spoilt.update(everything(stage.opt))

    with pytest.raises(error, match=text):
        stage.step(act, form)
    assert_same_bits(everything(stage.opt), spoilt)
    assert stage.opt.steps == 1


def refused(act: Callable[[], object], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        act()


HARMLESS: dict[str, Callable[[Stage], object]] = {
    "gradient read-only": lambda s: read_only(s.grads["a"]),
    "gradients cleared": lambda s: s.grads.clear(),
    "another step": lambda s: refused(lambda: s.opt.step(s.grads), RuntimeError, "busy"),
    "a load": lambda s: refused(lambda: s.opt.load_state_dict({}), RuntimeError, "busy"),
    "a group": lambda s: refused(lambda: s.opt.add_group({"params": ones()}), RuntimeError, "busy"),
    "hyperparameters": lambda s: vars(s).update(lr=setattr(s.opt, "lr", 0.5)),
    "another plan": lambda s: setattr(s.opt, "amsgrad", True),
    "state read": lambda s: s.opt.state["a"]["exp_avg"].sum() + s.opt.ema["c"].sum(),
    "state resized": lambda s: refused(
        lambda: resize(s.opt.state["a"]["exp_avg"], 1), ValueError, "resize"
    ),
    "state's memory resized": lambda s: refused(
        lambda: resize(s.opt.state["a"]["exp_avg"].base, 1), ValueError, "resize"
    ),
}


@pytest.mark.parametrize("form", [ByArray, ByDLPack])
@pytest.mark.parametrize("case", HARMLESS)
def test_what_does_a_step_no_harm(case: str, form: Any) -> None:
    stage, twin = Stage(), Stage()
    stage.step(lambda: HARMLESS[case](stage), form)
    twin.opt.step(twin.grads)
    assert_same_bits(
        {name: everything(stage.opt)[name] for name in everything(twin.opt)}, everything(twin.opt)
    )
    twin.opt.lr, twin.opt.amsgrad = stage.opt.lr, stage.opt.amsgrad
    for each in (stage, twin):
        each.opt.step(ones())
    assert_same_bits(everything(stage.opt), everything(twin.opt))


@pytest.mark.parametrize("taken", [list.pop, list.clear, lambda grads: grads.append(None)])
@pytest.mark.parametrize("nested", [False, True])
def test_the_callers_list_is_read_once(taken: Callable[[Any], object], nested: bool) -> None:
    def wrapped(arrays: Any) -> Any:
        return {"layers": arrays} if nested else arrays

    params, twins = list(ones().values()), list(ones().values())
    opt, twin = adam(wrapped(params)), adam(wrapped(twins))
    grads: list[Any] = list(ones().values())
    grads[0] = ByArray(grads[0], lambda: taken(grads))
    opt.step(wrapped(grads))
    twin.step(wrapped(list(ones().values())))
    assert_same_bits(everything(opt), everything(twin))


def test_groups_lists_are_read_once() -> None:
    params, grads = ones(), ones()
    opt = adam([{"params": [params["a"]]}, {"params": {"b": params["b"]}}])
    entries: list[Any] = [[grads["a"]], {"b": grads["b"]}]
    entries[1] = ByMapping({"b": grads["b"]}, entries[0].clear)
    opt.step(entries)
    np.testing.assert_array_equal(params["a"], params["b"])


FORMS: dict[str, tuple[str, Callable[[Array], object]]] = {
    "then in another order": (
        "float32",
        lambda a: a.__setstate__(np.asfortranarray(a).__reduce__()[2]),
    ),
    "then in another dtype and order": (
        "float64",
        lambda a: a.__setstate__(np.asfortranarray(a).astype("f4").__reduce__()[2]),
    ),
}


@pytest.mark.parametrize("case", FORMS)
def test_an_earlier_gradient_is_converted_as_it_has_to_be(case: str) -> None:
    dtype, change = FORMS[case]
    params = {name: np.ones((300, 200), np.float32) for name in "ab"}
    twins = {name: param.copy() for name, param in params.items()}
    values = np.arange(60_000, dtype=np.float32).reshape(300, 200)
    a, b = values.astype(dtype), np.ones((300, 200), np.float32)
    opt, twin = adam(params), adam(twins)
    opt.step({"a": a, "b": ByArray(b, lambda: change(a))})
    twin.step({"a": values, "b": b})
    assert_same_bits(everything(opt), everything(twin))


def test_a_gradient_of_another_dtype_that_is_resized_meanwhile_is_refused() -> None:
    stage = Stage()
    stage.grads["a"] = stage.grads["a"].astype("float64")
    before = everything(stage.opt)
    with pytest.raises(ValueError, match=r"gradient 'a' has shape \(1,\)"):
        stage.step(lambda: resize(stage.grads["a"], 1))
    assert_same_bits(everything(stage.opt), before)


def test_gradients_that_never_settle_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from gradstep.arrays import gradients

    monkeypatch.setattr(gradients.GradientReader, "__call__", lambda self, i, g: np.asarray([g]))
    w = np.ones(2)
    opt = gs.SGD(w, lr=0.1)
    with pytest.raises(RuntimeError, match="the gradients change while they are read"):
        opt.step(np.ones(2, np.int32))
    np.testing.assert_array_equal(w, 1.0)


def test_a_plan_changed_while_tensors_part_in_count_holds_from_the_next_step() -> None:
    params = ones()
    opt = gs.SGD(params, lr=0.5)
    act = ByArray(ones()["a"], lambda: setattr(opt, "momentum", 0.9))
    opt.step({"a": act, "b": None, "c": ones()["c"]})
    assert opt.steps == 1
    np.testing.assert_array_equal(params["a"], 0.5)
    opt.step(ones())
    np.testing.assert_array_equal(params["a"], 0.0)
    np.testing.assert_array_equal(params["b"], 0.5)


def test_read_only_state_of_a_tensor_without_a_gradient_is_let_be() -> None:
    stage = Stage()
    state = stage.opt.state["a"]["exp_avg"]
    read_only(state)
    before = state.copy()
    stage.opt.step({**stage.grads, "a": None})
    np.testing.assert_array_equal(state, before)
    with pytest.raises(ValueError, match=r"state\['a'\]\['exp_avg'\] has become read-only"):
        stage.opt.step(stage.grads)
    stage.opt.amsgrad = True
    with pytest.raises(ValueError, match=r"state\['a'\]\['exp_avg'\] has become read-only"):
        stage.opt.step(stage.grads)
    state.flags.writeable = True
    stage.opt.step(stage.grads)
    assert stage.opt.steps == 3


def test_a_resized_parameter_is_refused_though_hyperparameters_changed_meanwhile() -> None:
    w = np.ones(1000, np.float32)
    opt = gs.SGD(w, lr=0.1)
    resize(w, 10)
    opt.momentum = 0.9
    with pytest.raises(ValueError, match="parameter '0' is no longer the writeable array"):
        opt.step(np.ones(10, np.float32))
    np.testing.assert_array_equal(w, 1.0)


def test_memory_that_parameters_are_views_of_cannot_be_resized() -> None:
    store = np.ones(SIZE, np.float32)
    opt = gs.SGD([store[: SIZE // 2], store[SIZE // 2 :]], lr=0.5)
    with pytest.raises(ValueError, match="resize"):
        resize(store, 100 * SIZE)
    opt.step([np.ones(SIZE // 2, np.float32)] * 2)
    np.testing.assert_array_equal(store, 0.5)
