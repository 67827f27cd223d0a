"""State of PyTorch that does not fit, and ours that PyTorch does not have."""

from __future__ import annotations

import copy
import functools
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from tests.helpers import assert_same_bits, everything, put
from tests.saving.test_odd_states import Raising
from tests.saving.torch_run import our_steps, start, tensors_of, torch_steps

torch = pytest.importorskip("torch", reason="torch is not installed: pip install '.[torch]'")


GROUP = ("param_groups", 0)
BAD: dict[str, tuple[Callable[[Any, Any], None], Any, type[Exception], str]] = {
    "no groups": (put("param_groups"), KeyError, TypeError, "a dict with the entries 'state' and"),
    "group count": (put("param_groups"), [], ValueError, r"groups of \[3\] parameters, got \[\]"),
    "no list": (put("param_groups"), 5, ValueError, r"groups of \[3\] parameters, got 5"),
    "parameters": (put(*GROUP, "params"), [0], ValueError, r"of \[3\] parameters, got \[1\]"),
    "option": (put(*GROUP, "momentum"), 0.9, ValueError, r"Adam, but a group has \['momentum'\]"),
    "no option": (put(*GROUP, "amsgrad"), KeyError, ValueError, r"a group has no \['amsgrad'\]"),
    "lr": (put(*GROUP, "lr"), -1.0, ValueError, "lr must be a finite number ≥ 0"),
    "betas": (put(*GROUP, "betas"), (0.9, 1.0), ValueError, r"betas\[1\] must be a number in"),
    "list of states": (put("state"), [], TypeError, r"state_dict\['state'\] must be a dict"),
    "stray state": (put("state", 9), {}, ValueError, r"\['state'\] has parameters \[9\]"),
    "state list": (
        put("state", 0),
        [1],
        TypeError,
        r"\['state'\]\[0\] must be a dict .* got a list",
    ),
    "state number": (
        put("state", 0),
        5,
        TypeError,
        r"\['state'\]\[0\] must be a dict .* got a int",
    ),
    "state zero": (put("state", 0), 0, TypeError, r"\['state'\]\[0\] must be a dict .* a int"),
    "twice": (
        put(*GROUP, "params"),
        [0, 0, 2],
        ValueError,
        r"parameter once, got \[0, 0, 2\]",
    ),
    "lists": (
        put(*GROUP, "params"),
        [[0], 1, 2],
        ValueError,
        r"once, got \[\[0\], 1, 2\]",
    ),
    "schedule": (put(*GROUP, "lr"), lambda step: 0.5, TypeError, "lr in a group .* a number, as"),
    "schedules": (put(*GROUP, "betas"), (0.9, lambda step: 0.5), TypeError, "betas in a group"),
    "no slot": (put("state", 0, "exp_avg"), KeyError, ValueError, r"must hold .*'exp_avg'"),
    "odd slot": (put("state", 0, "x"), np.zeros(57), ValueError, "is no state of an optimizer"),
    "no step": (
        put("state", 0, "step"),
        KeyError,
        TypeError,
        "'step' in .*'0' in state_dict must be an int",
    ),
    "half step": (put("state", 0, "step"), 1.5, TypeError, "must be an integer, got 1.5"),
    "minus": (
        put("state", 0, "step"),
        -1.0,
        ValueError,
        "'step' in .*'0' in state_dict must be ≥ 0",
    ),
    "flag": (put("state", 0, "step"), True, TypeError, "'step' in .*'0' in state_dict must be an"),
    "number": (put("state", 0, "exp_avg"), 1.0, TypeError, "'exp_avg' in .* must be a tensor"),
    "bfloat16": (
        put("state", 0, "exp_avg"),
        torch.zeros(57, dtype=torch.bfloat16),
        ValueError,
        r"'exp_avg'.* has shape \(57,\) and dtype uint16; expected \(57,\) and float64",
    ),
    "float8": (
        put("state", 0, "exp_avg"),
        torch.zeros(57, dtype=torch.float8_e5m2),
        TypeError,
        r"'exp_avg' in the state of parameter '0' .*float8_e5m2.*convert it first",
    ),
    "dtype": (
        put("state", 0, "exp_avg"),
        torch.zeros(57, dtype=torch.float32),
        ValueError,
        "dtype float32; expected .*float64",
    ),
    "shape": (
        put("state", 0, "exp_avg"),
        torch.zeros(58, dtype=torch.float64),
        ValueError,
        r"has shape \(58,\)",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_state_that_does_not_fit_changes_nothing(case: str) -> None:
    change, value, error, text = BAD[case]
    tensors = tensors_of(start("float64"))
    theirs = torch.optim.Adam(tensors, lr=0.5)
    torch_steps(theirs, tensors, 0, 3)
    state = copy.deepcopy(theirs.state_dict())
    change(state, value)
    opt = gs.Adam(start("float64"), lr=0.1)
    our_steps(opt, 0, 2)
    before, settings = everything(opt), repr(opt)
    with pytest.raises(error, match=text):
        gs.load_torch_state_dict(opt, state)
    assert_same_bits(everything(opt), before)
    assert (opt.steps, repr(opt)) == (2, settings)


ODD: dict[str, Callable[[], Any]] = {
    "sparse": lambda: torch.eye(3).to_sparse(),
    "without values": lambda: torch.ones(3, device="meta"),
    "of two": lambda: torch.ones(2),
    "nested": lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),
    "deep": lambda: functools.reduce(lambda inner, _: [inner], range(10_000), 0),
    "raising": lambda: Raising(NotImplementedError("no")),
}
PLACES: list[tuple[Any, ...]] = [
    ("state",), ("state", 0), ("state", 0, "step"), ("state", 0, "exp_avg"), ("param_groups",),
    GROUP, (*GROUP, "lr"), (*GROUP, "betas"), (*GROUP, "params"), (*GROUP, "params", 0),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")
@pytest.mark.parametrize("odd", ODD)
def test_an_odd_part_of_a_state_changes_nothing(odd: str) -> None:
    tensors = tensors_of(start("float64"))
    theirs = torch.optim.Adam(tensors, lr=0.5)
    torch_steps(theirs, tensors, 0, 1)
    opt = gs.Adam(start("float64"), lr=0.1)
    our_steps(opt, 0, 2)
    before, settings = everything(opt), repr(opt)
    for place in PLACES:
        state = copy.deepcopy(theirs.state_dict())
        put(*place)(state, ODD[odd]())
        with pytest.raises((TypeError, ValueError)):
            gs.load_torch_state_dict(opt, state)
    assert_same_bits(everything(opt), before)
    assert (opt.steps, repr(opt)) == (2, settings)


@pytest.mark.parametrize("steps", [-1, 1.5, "3", True, float("nan")])
@pytest.mark.parametrize("cls", [gs.SGD, gs.Adam])
def test_a_number_of_steps_is_a_count(cls: type[gs.Optimizer], steps: Any) -> None:
    opt = cls(start("float64"), lr=gs.schedules.exponential(0.5))
    theirs = getattr(torch.optim, cls.__name__)(tensors_of(start("float64")))
    with pytest.raises((TypeError, ValueError), match="steps must be an integer ≥ 0, got"):
        gs.load_torch_state_dict(opt, theirs.state_dict(), steps=steps)


def test_a_schedule_that_does_not_reach_as_far_changes_nothing() -> None:
    tensors = tensors_of(start("float64"))
    theirs = torch.optim.Adam(tensors)
    torch_steps(theirs, tensors, 0, 4)
    opt = gs.Adam(start("float64"), lr=lambda step: 0.1 if step < 4 else -1.0)
    our_steps(opt, 0, 2)
    before = everything(opt)
    with pytest.raises(ValueError, match="from its schedule at step 4"):
        gs.load_torch_state_dict(opt, theirs.state_dict())
    assert_same_bits(everything(opt), before)
    assert opt.steps == 2


def test_an_optimizer_that_is_busy_is_refused() -> None:
    opt = gs.SGD(start("float64"), lr=0.1, momentum=0.9)
    state = gs.torch_state_dict(opt)
    with opt.lookahead():
        with pytest.raises(RuntimeError, match=r"call torch_state_dict\(\) after it"):
            gs.torch_state_dict(opt)
        with pytest.raises(RuntimeError, match=r"call load_torch_state_dict\(\) after it"):
            gs.load_torch_state_dict(opt, state)


def test_state_of_another_kind_is_refused() -> None:
    for kind in ("SGD", "RMSprop", "Adadelta", "Adamax", "RAdam"):
        theirs = getattr(torch.optim, kind)(tensors_of(start("float64")))
        with pytest.raises(ValueError, match=r"state_dict must be that of a torch\.optim\.NAdam"):
            gs.load_torch_state_dict(gs.NAdam(start("float64")), theirs.state_dict())


def test_momentum_that_was_changed_cannot_be_carried_over() -> None:
    tensors = tensors_of(start("float64"))
    theirs = torch.optim.NAdam(tensors, betas=(0.5, 0.9))
    torch_steps(theirs, tensors, 0, 3)
    changed, broken = (copy.deepcopy(theirs.state_dict()) for _ in range(2))
    changed["param_groups"][0]["betas"] = (0.9, 0.9)
    broken["state"][0]["mu_product"] = torch.tensor(np.nan)
    for state in (changed, broken):
        with pytest.raises(ValueError, match=r"has mu_product = .* were changed during training"):
            gs.load_torch_state_dict(gs.NAdam(start("float64")), state)
    with pytest.raises(ValueError, match=r"lr_in_velocity=True keeps another momentum_buffer"):
        gs.load_torch_state_dict(
            gs.SGD(start("float64"), momentum=0.9, lr_in_velocity=True),
            torch.optim.SGD(tensors, momentum=0.9).state_dict(),
        )


REFUSED: list[tuple[type[gs.Optimizer], dict[str, Any], str]] = [
    (gs.Adam, {"clip_norm": 1.0}, r"Adam has no clip_norm = 1\.0; set it to None first"),
    (gs.Adam, {"l1": 0.1}, r"Adam has no l1 = 0\.1; set it to 0\.0 first"),
    (gs.Adam, {"cautious": True}, "Adam has no cautious = True; set it to False first"),
    (gs.Adam, {"ema_decay": 0.9}, r"Adam has no ema_decay = 0\.9"),
    (gs.SGD, {"momentum": 0.9, "lr_in_velocity": True}, "SGD has no lr_in_velocity = True"),
    (gs.RMSprop, {"momentum": 0.9, "nesterov": True}, "RMSprop has no nesterov = True"),
    (gs.Adagrad, {"eps_inside_sqrt": True}, "Adagrad has no eps_inside_sqrt = True"),
    (gs.Rprop, {"weight_decay": 0.1}, r"Rprop has no weight_decay = 0\.1; set it to 0\.0 first"),
    (
        gs.SGD,
        {"weight_decay": 0.1, "decoupled_weight_decay": True},
        "SGD has no decoupled_weight_decay = True; set it to False first",
    ),
    (
        gs.AdamW,
        {"decoupled_weight_decay": False},
        "AdamW has no decoupled_weight_decay = False; set it to True first",
    ),
]


@pytest.mark.parametrize("case", range(len(REFUSED)))
def test_what_torch_does_not_have_is_not_exported(case: int) -> None:
    cls, options, text = REFUSED[case]
    with pytest.raises(ValueError, match=rf"torch\.optim\.{text}"):
        gs.torch_state_dict(cls(start("float64"), **options))


def test_optimizers_that_torch_does_not_have() -> None:
    opt = gs.Lion(start("float64"))
    for call in (lambda: gs.torch_state_dict(opt), lambda: gs.load_torch_state_dict(opt, {})):
        with pytest.raises(TypeError, match=r"opt must be one of these of torch\.optim: .*Lion$"):
            call()


@pytest.mark.parametrize("cls", [gs.Muon, gs.LBFGS])
def test_optimizers_whose_states_only_the_front_of_torch_takes(cls: type) -> None:
    opt = cls(np.ones((2, 2)))
    for call in (lambda: gs.torch_state_dict(opt), lambda: gs.load_torch_state_dict(opt, {})):
        with pytest.raises(TypeError, match=r"load Muon's and LBFGS's with gradstep\.torch; got"):
            call()


def test_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match=r'pip install "gradstep\[torch\]"'):
        gs.torch_state_dict(gs.SGD(start("float64")))
