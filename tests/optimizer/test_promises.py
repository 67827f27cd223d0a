"""What users were promised, or took for granted."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from tests.helpers import Array, assert_same_bits, everything

pytestmark = pytest.mark.usefixtures("backend")


def zeros(*shape: int) -> Array:
    return np.zeros(shape, np.float32)


class TestAttributes:
    @pytest.mark.parametrize("name", ["learning_rate", "LR", "momentum", "mro"])
    def test_one_that_the_class_has_not_cannot_be_set(self, name: str) -> None:
        opt = gs.Adam(zeros(2))
        with pytest.raises(AttributeError, match=f"no attribute '{name}' .*options are lr, betas"):
            setattr(opt, name, 0.9)
        assert not hasattr(opt, name)

    def test_those_that_the_class_has_can_be_set(self) -> None:
        opt = gs.Adam(zeros(2))
        opt.lr = 5
        opt._note = "private"
        opt.step = opt.step  # as wrappers do
        assert opt.lr == 5.0

    def test_groups_have_entries_and_no_such_attributes(self) -> None:
        (group,) = gs.Adam(zeros(2)).groups
        with pytest.raises(AttributeError, match="no attribute 'lr'"):
            group.lr = 0.1  # type: ignore[attr-defined]

    def test_a_subclass_may_declare_its_own(self) -> None:
        class Named(gs.Adam):
            note: str
            epoch = 0

            def __init__(self, params: Any) -> None:
                super().__init__(params)
                self.note = "mine"

        opt = Named(zeros(2))
        opt.epoch = 3
        assert (opt.note, opt.epoch) == ("mine", 3)
        with pytest.raises(AttributeError, match="'epochs'"):
            opt.epochs = 3


class TestGroupsOutsideAList:
    @pytest.mark.parametrize("options", [{"lr": 0.1}, {"betas": (0.9, 0.99)}, {"amsgrad": True}])
    def test_are_refused_with_the_way_out(self, options: dict[str, Any]) -> None:
        w = zeros(2)
        name = next(iter(options))
        text = rf"a dict with 'params' and '{name}': a group, which belongs into a list, \["
        with pytest.raises(TypeError, match=text):
            gs.Adam({"params": [w], **options})
        gs.Adam([{"params": [w], **options}]).step([[zeros(2)]])
        gs.Adam([w], **options).step([zeros(2)])

    def test_parameters_may_have_such_names(self) -> None:
        opt = gs.Adam({"params": {"W": zeros(2)}, "lr": zeros(1)})
        assert list(opt.params) == ["params.W", "lr"]


@pytest.mark.parametrize("second", [zeros(3), [zeros(3)], {"b": zeros(3)}, {"in": [zeros(3)]}])
def test_gradients_of_groups_may_come_in_one_flat_dict(second: Any) -> None:
    first, second = zeros(2), deepcopy(second)
    opt = gs.SGD([{"params": [first]}, {"params": second}], lr=1.0)
    opt.step({name: np.ones_like(param) for name, param in opt.params.items()})
    assert all((param == -1).all() for param in opt.params.values())
    with pytest.raises(ValueError, match=r"has no entry for '0\.0'"):
        opt.step({"b": zeros(3)})


def model() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    layers = [
        {"W": rng.normal(size=(7, 5)), "b": rng.normal(size=5), "scale": rng.normal(size=5)}
        for _ in range(3)
    ]
    return {"layers": layers, "b": rng.normal(size=2)}


def like(params: Any, factor: float) -> Any:
    if isinstance(params, dict):
        return {name: like(part, factor) for name, part in params.items()}
    return [like(part, factor) for part in params] if isinstance(params, list) else factor * params


class TestPickedGroups:
    def test_by_pattern_the_ends_of_names_are_matched(self) -> None:
        for pattern in ("b", "*.b"):
            opt = gs.AdamW(model(), groups=[(pattern, {"weight_decay": 0})])
            biases, others = opt.groups
            assert biases["params"] == ("layers.0.b", "layers.1.b", "layers.2.b", "b")
            assert (biases["weight_decay"], others["weight_decay"]) == (0.0, 0.01)

    def test_by_predicate_and_the_first_that_takes_it(self) -> None:
        opt = gs.SGD(
            model(),
            lr=0.1,
            groups=[
                ("layers.1.*", {"lr": 0.2}),
                (lambda name, array: array.ndim == 1, {"lr": 0.3}),
            ],
        )
        assert [(group["lr"], len(group["params"])) for group in opt.groups] == [
            (0.2, 3), (0.3, 5), (0.1, 2),
        ]  # fmt: skip

    @pytest.mark.parametrize("limit", [None, 0.5])
    def test_steps_are_those_of_single_groups_and_the_norm_that_of_one(
        self, limit: float | None
    ) -> None:
        params, plain = model(), model()
        opt = gs.AdamW(params, lr=0.1, clip_norm=limit, groups=[("b", {"lr": 0.1})])
        whole = gs.AdamW(plain, lr=0.1, clip_norm=limit)
        for _ in range(3):
            infos = [
                o.step(like(p, 0.3), with_norm=True) for o, p in ((opt, params), (whole, plain))
            ]
            assert infos[0] == infos[1]
        assert list(opt.params) == list(whole.params)
        assert_same_bits(everything(opt), everything(whole))

    def test_each_has_its_options_whatever_comes_without_gradient(self) -> None:
        params, grouped = model(), model()
        opt = gs.AdamW(params, lr=0.1, groups=[("b", {"weight_decay": 0.5}), ("W", {"lr": 0.3})])
        parts = {"b": {}, "W": {}, "scale": {}}  # type: dict[str, dict[str, Array]]
        for name, param in gs.SGD(grouped).params.items():
            parts[name.rpartition(".")[2]][name] = param
        listed = gs.AdamW(
            [
                {"params": parts["b"], "weight_decay": 0.5},
                {"params": parts["W"], "lr": 0.3},
                {"params": parts["scale"]},
            ],
            lr=0.1,
        )
        for step in range(4):
            grads = like(params, 0.3)
            grads["layers"][step % 3]["b"] = None
            flat = {
                f"layers.{i}.{n}": g for i, of in enumerate(grads["layers"]) for n, g in of.items()
            }
            opt.step(grads)
            listed.step({**flat, "b": grads["b"]})
            if step == 2:  # and through a state
                saved = opt.state_dict()
                opt = gs.AdamW(params, lr=0.1, groups=[("b", {"weight_decay": 0.5}), ("W", {})])
                opt.load_state_dict(saved)
        ours, theirs = everything(opt), everything(listed)
        assert_same_bits({name: ours[name] for name in theirs}, theirs)

    def test_a_group_added_has_an_entry_of_its_own(self) -> None:
        params, more = {"W": np.zeros(2), "b": np.zeros(2)}, np.zeros(3)
        opt = gs.SGD(params, lr=1.0, groups=[("b", {"lr": 0.5})])
        opt.add_group({"params": [more], "lr": 0.1})
        opt.step([{"W": np.ones(2), "b": np.ones(2)}, [np.ones(3)]])
        assert (params["W"][0], params["b"][0], more[0]) == (-1.0, -0.5, -0.1)

    @pytest.mark.parametrize(
        ("groups", "error", "text"),
        [
            ([("x", {})], ValueError, r"groups\[0\]: 'x' matches none of the parameters W, b\. "),
            ([("W", {}), ("[Wx]", {})], ValueError, r"groups\[1\]: .* that the groups before it"),
            ([("b", {"momentm": 1})], TypeError, "SGD has no option 'momentm'"),
            ([("b", {"lr": -1})], ValueError, "lr must be"),
            ([{"params": "b"}], TypeError, r"groups\[0\] must be a pair .* got {'params': 'b'}"),
            ({"b": {"lr": 1}}, TypeError, r"groups must be a list of pairs.* got {'b'"),
            ("b", TypeError, "groups must be a list of pairs"),
        ],
    )
    def test_what_cannot_be_meant_is_refused(
        self, groups: Any, error: type[Exception], text: str
    ) -> None:
        with pytest.raises(error, match=text):
            gs.SGD({"W": zeros(2), "b": zeros(2)}, groups=groups)

    def test_groups_in_params_or_by_name_but_not_both(self) -> None:
        with pytest.raises(TypeError, match="params is a list of groups, and groups= picks others"):
            gs.SGD([{"params": {"b": zeros(2)}}], groups=[("b", {})])


class TestCheck:
    def test_the_optimizers_own_arrays_pass_in_any_container(self) -> None:
        params = model()
        opt = gs.Adam(params)
        opt.check(params)
        opt.check(dict(params, layers=tuple(params["layers"])))
        w = zeros(2, 3)
        gs.Adam(w).check(w.view())
        first, second = zeros(2), {"b": zeros(2)}
        groups = [{"params": [first]}, {"params": second, "lr": 0.1}]
        gs.Adam(groups).check(groups)

    @pytest.mark.parametrize(
        "other", [zeros(2, 3), zeros(2, 3).T, zeros(3, 2).astype(np.float64), zeros(6)]
    )
    def test_another_in_their_place_is_named(self, other: Array) -> None:
        params = {"W": zeros(3, 2), "b": zeros(2)}
        opt = gs.Adam(params)
        params["W"] = other
        with pytest.raises(ValueError, match="parameter 'W' is not the array that the optimizer t"):
            opt.check(params)

    def test_another_look_at_their_memory_is_named(self) -> None:
        w = zeros(3, 2)
        opt = gs.Adam({"W": w})
        for view in (w.T, w.ravel(), w[:2], w.view(np.int32).view(np.float32)[:0]):
            with pytest.raises(ValueError, match="parameter 'W' is not the array"):
                opt.check({"W": view})

    def test_other_names_are_listed(self) -> None:
        opt = gs.Adam({"W": zeros(3)})
        with pytest.raises(ValueError, match=r"optimizer trains, \['W'\]; it holds \['V'\]"):
            opt.check({"V": zeros(3)})


@pytest.mark.parametrize("block", ["swap_averages", "lookahead"])
def test_restoring_while_parameters_hold_other_values_is_refused(block: str) -> None:
    params = {"w": np.ones(3), "b": np.ones(2)}
    opt = gs.SGD(params, lr=0.1, momentum=0.9, ema_decay=0.5)
    stopping = gs.EarlyStopping()
    opt.step({"w": np.ones(3), "b": np.ones(2)})
    stopping.update(1.0, params)
    opt.step({"w": np.ones(3), "b": np.ones(2)})
    before = everything(opt)
    text = rf"for the time of {block}\(\).*call restore\(\) after its with block"
    with getattr(opt, block)():
        inside = params["w"].copy()
        with pytest.raises(RuntimeError, match=text):
            stopping.restore(params)
        np.testing.assert_array_equal(params["w"], inside)
        stopping.restore({"w": np.zeros(3), "b": np.zeros(2)})  # others may be
    assert_same_bits(everything(opt), before)
    with pytest.raises(KeyError) as caught, getattr(opt, block)():
        raise KeyError
    stopping.restore(params)
    del caught
    assert not np.array_equal(params["w"], before["w"])


class TestCurrent:
    def test_is_what_the_next_step_uses(self) -> None:
        w = np.zeros(1)
        opt = gs.SGD(w, lr=gs.schedules.linear(10) * 0.5)
        for _ in range(4):
            before, lr = w.copy(), opt.current("lr")
            opt.step(np.ones(1))
            np.testing.assert_array_equal(w, before - lr)
        assert (opt.current("momentum"), opt.current("clip_norm")) == (0.0, None)
        betas = gs.Adam(w, betas=(lambda step: 0.5, 0.9)).current("betas")
        assert betas == (0.5, 0.9)

    def test_asks_for_a_group_where_they_differ(self) -> None:
        opt = gs.SGD({"w": zeros(1), "b": zeros(1)}, lr=0.1, groups=[("b", {"lr": 0.2})])
        with pytest.raises(ValueError, match=r"lr differs between groups: \[0\.2, 0\.1\]; ask"):
            opt.current("lr")
        assert (opt.current("lr", group=0), opt.current("lr", group=1)) == (0.2, 0.1)
        assert opt.current("momentum") == 0.0

    def test_names_the_options(self) -> None:
        with pytest.raises(TypeError, match="SGD has no option 'beta'; its options are lr"):
            gs.SGD(zeros(1)).current("beta")
