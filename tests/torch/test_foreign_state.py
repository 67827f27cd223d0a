"""What users put into `opt.state`: another tensor, other values, nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest

from tests.torch.twins import STATEFUL, assert_alike, few, front, params_of, set_gradients, steps

torch = pytest.importorskip("torch", reason="torch is not installed: pip install '.[torch]'")

Slots = dict[str, Any]
SOME = ("SGD", "AdamW", "Adagrad", "Rprop")

pytestmark = pytest.mark.usefixtures("float64_numbers")


def make(optim: Any, name: str) -> Any:
    return getattr(optim, name)(few(), **STATEFUL.get(name, {}))


def arrays(slots: Slots) -> Slots:
    return {slot: value for slot, value in slots.items() if slot != "step"}


def another_tensor(slots: Slots) -> None:
    slots.update({slot: value * 0.5 for slot, value in arrays(slots).items()})


def another_order(slots: Slots) -> None:
    for slot, value in arrays(slots).items():
        axes = tuple(range(value.ndim))[::-1]
        slots[slot] = value.permute(axes).contiguous().permute(axes) * 0.5


def part_of_a_buffer(slots: Slots) -> None:
    for slot, value in arrays(slots).items():
        buffer = torch.zeros(value.numel() + 5)
        buffer[3:-2] = value.reshape(-1)
        slots[slot] = buffer[3:-2].view(value.shape)


def every_second_element(slots: Slots) -> None:
    for slot, value in arrays(slots).items():
        slots[slot] = torch.stack([value, torch.zeros_like(value)], dim=-1)[..., 0]


def in_place(slots: Slots) -> None:
    for value in arrays(slots).values():
        value.mul_(0.5)


def other_data(slots: Slots) -> None:
    for value in arrays(slots).values():
        value.data = value.data * 0.5


def resized_storage(slots: Slots) -> None:
    for value in arrays(slots).values():
        kept, storage = value.clone(), value.untyped_storage()
        size = storage.nbytes()
        storage.resize_(0)
        storage.resize_(size + 64)
        value.copy_(kept)


def shared_memory(slots: Slots) -> None:
    for value in arrays(slots).values():
        value.share_memory_()


def emptied(slots: Slots) -> None:
    slots.clear()


def something_beside(slots: Slots) -> None:
    slots["mine"] = torch.ones(2)


CHANGES = (
    another_tensor, another_order, part_of_a_buffer, every_second_element, in_place, other_data,
    resized_storage, shared_memory, something_beside,
)  # fmt: skip
OF_STEP: dict[str, Callable[[Slots], None]] = {
    "another": lambda slots: slots.update(step=torch.tensor(20.0)),
    "filled": lambda slots: slots["step"].fill_(20.0),
    "added": lambda slots: slots["step"].add_(7.0),
    "data": lambda slots: setattr(slots["step"], "data", torch.tensor(20.0)),
    "zero": lambda slots: slots["step"].zero_(),
    "float32": lambda slots: slots.update(step=torch.tensor(20.0, dtype=torch.float32)),
    "one_element": lambda slots: slots.update(step=torch.tensor([20.0])),
}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
@pytest.mark.parametrize("name", SOME)
def test_changed_state_is_what_the_next_step_takes(
    name: str, change: Callable[[Slots], None], backend: str
) -> None:
    def train(optim: Any) -> Any:
        opt = make(optim, name)
        for step in range(6):
            steps(opt, step, step + 1)
            for param in params_of(opt)[step % 2 :: 2]:
                if opt.state.get(param):
                    change(opt.state[param])
        return opt

    assert_alike(train)


@pytest.mark.parametrize("change", OF_STEP)
@pytest.mark.parametrize("name", ["AdamW", "NAdam", "RAdam", "Adagrad", "ASGD"])
def test_changed_step_counts(name: str, change: str, backend: str) -> None:
    """Also where one parameter has another count than the others."""

    def train(optim: Any) -> Any:
        opt = make(optim, name)
        steps(opt, 0, 3)
        for param in params_of(opt)[::2]:
            OF_STEP[change](opt.state[param])
        steps(opt, 3, 8)
        for param in params_of(opt):
            OF_STEP[change](opt.state[param])
        steps(opt, 8, 10)
        return opt

    assert_alike(train)


WITHOUT: dict[str, Callable[[Any], None]] = {
    "one deleted": lambda opt: opt.state.pop(params_of(opt)[2]),
    "one emptied": lambda opt: opt.state[params_of(opt)[2]].clear(),
    "one replaced": lambda opt: opt.state.update({params_of(opt)[2]: {}}),
    "all cleared": lambda opt: opt.state.clear(),
    "all replaced": lambda opt: setattr(opt, "state", defaultdict(dict)),
}


@pytest.mark.parametrize("change", WITHOUT)
@pytest.mark.parametrize("name", ["SGD", "AdamW", "NAdam", "ASGD", "Rprop"])
def test_state_that_was_taken_away_begins_anew(name: str, change: str, backend: str) -> None:
    def train(optim: Any) -> Any:
        opt = make(optim, name)
        steps(opt, 0, 4)
        WITHOUT[change](opt)
        steps(opt, 4, 8)
        return opt

    assert_alike(train)


@pytest.mark.parametrize("name", SOME)
def test_state_of_two_parameters_exchanged(name: str, backend: str) -> None:
    def train(optim: Any) -> Any:
        params = [torch.nn.Parameter(torch.full((5, 3), float(i))) for i in range(3)]
        opt = getattr(optim, name)(params, **STATEFUL.get(name, {}))
        steps(opt, 0, 4)
        a, _, c = params
        opt.state[a], opt.state[c] = opt.state[c], opt.state[a]
        steps(opt, 4, 8)
        return opt

    assert_alike(train)


def test_state_given_before_the_first_step(backend: str) -> None:
    def train(optim: Any) -> Any:
        opt = make(optim, "AdamW")
        for param in params_of(opt)[1:]:
            opt.state[param] = {
                "step": torch.tensor(7.0),
                "exp_avg": torch.full_like(param, 0.1, requires_grad=False),
                "exp_avg_sq": torch.full_like(param, 0.2, requires_grad=False),
            }
        steps(opt, 0, 4)
        return opt

    assert_alike(train)


def test_state_is_written_where_the_user_put_it(backend: str) -> None:
    opt = make(front, "AdamW")
    steps(opt, 0, 2)
    param = params_of(opt)[2]
    old = opt.state[param]["exp_avg"]
    kept = old.clone()
    mine = opt.state[param]["exp_avg"] = torch.zeros_like(old)
    steps(opt, 2, 3)
    assert opt.state[param]["exp_avg"] is mine
    assert mine.any()
    assert torch.equal(old, kept)


MISFITS: dict[str, tuple[str, Callable[[Slots], None]]] = {
    "shape": ("AdamW", lambda slots: slots.update(exp_avg=torch.zeros(3))),
    "dtype": ("AdamW", lambda slots: slots.update(exp_avg=slots["exp_avg"].float())),
    "not a tensor": ("AdamW", lambda slots: slots.update(exp_avg=0.0)),
    "complex": ("AdamW", lambda slots: slots.update(exp_avg=slots["exp_avg"] * 1j)),
    "missing": ("AdamW", lambda slots: slots.pop("exp_avg_sq")),
    "missing step": ("AdamW", lambda slots: slots.pop("step")),
    "size of step": ("AdamW", lambda slots: slots.update(step=torch.zeros(2))),
    "shape of momentum": ("SGD", lambda slots: slots.update(momentum_buffer=torch.zeros(3))),
}


@pytest.mark.parametrize("misfit", MISFITS)
def test_state_that_does_not_fit_is_refused(misfit: str, backend: str) -> None:
    name, spoil = MISFITS[misfit]
    opt = make(front, name)
    steps(opt, 0, 3)
    params = params_of(opt)
    spoil(opt.state[params[2]])
    set_gradients(params, 4)
    kept = [param.detach().clone() for param in params]
    if front is torch.optim:
        with pytest.raises((RuntimeError, KeyError, AttributeError, TypeError)):
            opt.step()
        return
    with pytest.raises((TypeError, ValueError), match="'2'"):
        opt.step()
    assert all(torch.equal(param, before) for param, before in zip(params, kept, strict=True))
