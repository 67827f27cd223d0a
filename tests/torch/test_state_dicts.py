"""Optimizers as objects: their dictionaries, hooks of these, copies, pickles, groups and names."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from tests.torch.twins import (
    SHARED,
    STATEFUL,
    assert_alike,
    assert_close,
    few,
    front,
    mixed,
    network,
    params_of,
    set_gradients,
    steps,
)

torch = pytest.importorskip("torch", reason="torch is not installed: pip install '.[torch]'")


def make(optim: Any, name: str, params: Any = None) -> Any:
    return getattr(optim, name)(params or few(), **STATEFUL.get(name, {}))


def trained(optim: Any, name: str) -> Any:
    opt = make(optim, name)
    steps(opt, 0, 5)
    return opt


def assert_same_bits(actual: Any, expected: Any) -> None:
    torch.testing.assert_close(actual, expected, rtol=0.0, atol=0.0)


def assert_goes_on_alike(opt: Any, other: Any) -> None:
    """Both take the same further steps, to the bit, and each moves its own parameters."""
    assert {*map(id, params_of(opt))}.isdisjoint(map(id, params_of(other)))
    before = [param.detach().clone() for param in params_of(opt)]
    steps(other, 5, 8)
    assert_same_bits([param.detach() for param in params_of(opt)], before)
    steps(opt, 5, 8)
    assert_same_bits(params_of(opt), params_of(other))
    assert_same_bits(opt.state_dict(), other.state_dict())


@pytest.mark.usefixtures("float64_numbers")
@pytest.mark.parametrize("name", SHARED)
def test_state_dicts_are_torch_s(name: str, backend: str) -> None:
    ours, theirs = trained(front, name).state_dict(), trained(torch.optim, name).state_dict()
    assert list(ours) == list(theirs)
    for group, expected in zip(ours["param_groups"], theirs["param_groups"], strict=True):
        assert {key: group[key] for key in expected} == expected
        shared = [key for key in group if key in expected]
        assert shared == list(expected)
    assert {*ours["state"]} == {*theirs["state"]}
    for index, slots in theirs["state"].items():
        assert list(ours["state"][index]) == list(slots)
        assert_close([*ours["state"][index].values()], [*slots.values()], 1e-12)


@pytest.mark.parametrize("name", SHARED)
def test_a_state_dict_holds_the_live_tensors(name: str, backend: str) -> None:
    opt = trained(front, name)
    state = opt.state_dict()["state"]
    for index, param in enumerate(params_of(opt)):
        for slot, value in opt.state[param].items():
            assert state[index][slot] is value
    kept = copy.deepcopy(state)
    steps(opt, 5, 9)
    for index, slots in state.items():
        for slot, value in slots.items():
            assert opt.state[params_of(opt)[index]][slot] is value
            assert value.numel() == 1 or not torch.equal(value, kept[index][slot])


@pytest.mark.parametrize("name", SHARED)
def test_deep_copies(name: str, backend: str) -> None:
    opt = trained(front, name)
    assert_goes_on_alike(opt, copy.deepcopy(opt))


def test_a_model_and_its_optimizer_are_copied_together(backend: str) -> None:
    model = network()
    opt = front.AdamW(model.parameters())
    steps(opt, 0, 5)
    other_model, other = copy.deepcopy((model, opt))
    assert [*map(id, other_model.parameters())] == [*map(id, params_of(other))]
    assert_goes_on_alike(opt, other)


@pytest.mark.parametrize("name", SHARED)
def test_pickles(name: str, backend: str) -> None:
    opt = trained(front, name)
    assert_goes_on_alike(opt, pickle.loads(pickle.dumps(opt)))


@pytest.mark.usefixtures("float64_numbers")
@pytest.mark.parametrize("name", SHARED)
def test_saved_and_loaded_as_plain_data(name: str, backend: str) -> None:
    opt = trained(front, name)
    file = io.BytesIO()
    torch.save(opt.state_dict(), file)
    file.seek(0)
    other = make(front, name, [param.detach().clone().requires_grad_() for param in params_of(opt)])
    other.load_state_dict(torch.load(file, weights_only=True))
    assert_goes_on_alike(opt, other)


@pytest.mark.parametrize("name", SHARED)
def test_reprs(name: str) -> None:
    ours, theirs = (repr(make(optim, name)).splitlines() for optim in (front, torch.optim))
    assert ours[:2] == theirs[:2]
    assert ours[-1] == theirs[-1] == ")"
    assert [line for line in ours if line in theirs] == theirs


def test_hooks_of_state_dict_in_their_order(backend: str) -> None:
    opt = trained(front, "AdamW")
    seen: list[Any] = []

    def reduced(of: Any, state: Any) -> Any:
        seen.append(("post", of is opt, "state" in state))
        return {"reduced": len(state["state"])}

    opt.register_state_dict_post_hook(reduced)
    opt.register_state_dict_post_hook(lambda of, state: seen.append("first"), prepend=True)
    opt.register_state_dict_pre_hook(lambda of: seen.append(("pre", of is opt)))
    opt.register_state_dict_pre_hook(lambda of: seen.append("foremost"), prepend=True)
    assert opt.state_dict() == {"reduced": 4}
    assert seen == ["foremost", ("pre", True), "first", ("post", True, True)]


def test_hooks_of_load_state_dict_in_their_order(backend: str) -> None:
    source, opt = trained(front, "AdamW"), make(front, "AdamW")
    seen: list[Any] = []

    def halved(of: Any, state: Any) -> Any:
        seen.append(("pre", of is opt))
        groups = [{**group, "lr": group["lr"] / 2} for group in state["param_groups"]]
        return {**state, "param_groups": groups}

    opt.register_load_state_dict_post_hook(lambda of: seen.append(("post", len(of.state))))
    opt.register_load_state_dict_pre_hook(halved)
    opt.register_load_state_dict_pre_hook(lambda of, state: seen.append("first"), prepend=True)
    state = source.state_dict()
    opt.load_state_dict(state)
    assert seen == ["first", ("pre", True), ("post", 4)]
    assert opt.param_groups[0]["lr"] == source.param_groups[0]["lr"] / 2
    assert state["param_groups"][0]["lr"] == source.param_groups[0]["lr"]


MISFITS: dict[str, Callable[[Any], Any]] = {
    "groups": lambda opt: opt.add_param_group({"params": few()}),
    "sizes": lambda opt: opt.param_groups[0]["params"].append(few()[0]),
}


@pytest.mark.parametrize("misfit", MISFITS)
def test_a_state_dict_of_other_groups_is_refused_with_torch_s_text(misfit: str) -> None:
    def load(optim: Any) -> tuple[str, Any]:
        state = trained(optim, "AdamW").state_dict()
        opt = make(optim, "AdamW")
        MISFITS[misfit](opt)
        with pytest.raises(ValueError, match="loaded state dict") as error:
            opt.load_state_dict(state)
        return str(error.value), opt

    (ours, opt), (theirs, _) = load(front), load(torch.optim)
    assert ours == theirs
    assert not opt.state


@pytest.mark.parametrize("name", SHARED)
def test_added_groups(name: str, backend: str) -> None:
    def train(optim: Any) -> Any:
        first, *others = mixed()
        opt = getattr(optim, name)([first], lr=0.1)
        steps(opt, 0, 3)
        opt.add_param_group({"params": others[:4], "lr": 0.01, "mine": "kept"})
        steps(opt, 3, 6)
        opt.add_param_group({"params": (param for param in others[4:])})
        steps(opt, 6, 9)
        assert [group["lr"] for group in opt.param_groups] == [0.1, 0.01, 0.1]
        assert opt.param_groups[1]["mine"] == "kept"
        return opt

    assert_alike(train, 2e-7)


def test_groups_and_their_lists_may_be_changed_by_hand(backend: str) -> None:
    """As those do who unfreeze layers or prune them."""

    def train(optim: Any) -> Any:
        first, second, third, _ = few()
        opt = optim.AdamW([{"params": [first], "lr": 0.1}, {"params": [second]}])
        steps(opt, 0, 3)
        opt.param_groups[1]["params"].append(third)
        steps(opt, 3, 6)
        opt.param_groups[0]["params"][0] = torch.nn.Parameter(first.detach().clone())
        steps(opt, 6, 9)
        opt.param_groups[1]["params"] = [third, second]
        steps(opt, 9, 12)
        kept = opt.param_groups.pop(0)
        steps(opt, 12, 15)
        opt.param_groups = [opt.param_groups[0], kept]
        opt.param_groups[0].update(lr=0.05, betas=(0.5, 0.9), amsgrad=False)
        steps(opt, 15, 18)
        return opt

    assert_alike(train)


def test_named_parameters(backend: str) -> None:
    def train(optim: Any) -> Any:
        model = network()
        named = list(model.named_parameters())
        opt = optim.AdamW(named[:2])
        opt.add_param_group({"params": named[2:]})
        steps(opt, 0, 3)
        groups = opt.state_dict()["param_groups"]
        assert [group["param_names"] for group in groups] == [
            ["0.weight", "0.bias"],
            ["2.weight", "2.bias"],
        ]
        other = optim.AdamW(network().named_parameters())
        other.add_param_group({"params": [("other", few()[0])]})
        return opt

    assert_alike(train)
    opt = train(front)
    with pytest.raises(ValueError, match="with/without names"):
        opt.add_param_group({"params": few()})


@pytest.mark.parametrize("name", SHARED)
def test_they_are_torch_s_optimizers(name: str) -> None:
    opt, theirs = make(front, name), make(torch.optim, name)
    assert isinstance(opt, getattr(torch.optim, name))
    assert {key: opt.defaults[key] for key in theirs.defaults} == theirs.defaults
    set_gradients(params_of(opt), 0)
    opt.step()
    assert type(opt.state) is type(theirs.state)
    assert all(type(slots) is dict for slots in opt.state.values())
