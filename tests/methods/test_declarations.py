"""Hyperparameters and slots, declared once: constructors, help, stubs and state follow them."""

from __future__ import annotations

import inspect
import re
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from gradstep import runtime
from gradstep.arrays.gradients import GradientReader
from gradstep.arrays.parameters import look
from gradstep.method.hyperparameters import Flag, Number
from gradstep.method.method import SHARED, Method
from gradstep.method.rows import key_of
from gradstep.method.slots import Slot
from gradstep.methods import adam
from gradstep.optimizer.group import Chosen, Group
from gradstep.optimizer.settings import settings_of
from gradstep.optimizer.slots import allocate_slot
from gradstep.reference import RULES
from tests.helpers import Array
from tests.specs import CASE_IDS, CASES, SPECS
from tests.specs_of_matrices import CASE_IDS as MATRIX_IDS
from tests.specs_of_matrices import CASES as MATRIX_CASES
from tests.specs_of_matrices import MATRIX_SPECS
from tests.stubs import STUB, optimizers, stub

CLASSES = [spec.cls for spec in (*SPECS, *MATRIX_SPECS)]
ALL_CASES, ALL_IDS = [*CASES, *MATRIX_CASES], [*CASE_IDS, *MATRIX_IDS]
BY_CLASS = pytest.mark.parametrize("cls", CLASSES, ids=[cls.__name__ for cls in CLASSES])


def test_the_stub_is_in_step_with_the_declarations() -> None:
    assert set(optimizers()) == set(CLASSES), "each optimizer needs a Spec in tests/specs.py"
    assert STUB.read_text("utf-8") == stub(), "run python -m tests.stubs"


@BY_CLASS
def test_signature_and_help_show_every_option_once(cls: type[gs.Optimizer]) -> None:
    parameters = list(inspect.signature(cls).parameters.values())
    names = [parameter.name for parameter in parameters]
    by_name = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    assert names[:2] == ["params", "lr"]
    assert by_name == ["groups", "copies", *(name for name in SHARED if name != "weight_decay")]
    text = inspect.getdoc(cls) or ""
    described = re.findall(r"^(\w+) : .+", text, re.MULTILINE)
    assert described == names
    arrays = ("params", "groups", "copies")
    options = {p.name: p.default for p in parameters if p.name not in arrays}
    for default in options.values():
        assert f"; default {default!r}\n    " in text
    own = cls([np.zeros((1, 1))]).groups[0]
    assert {name: own[name] for name in options} == options


def test_positions_and_names_are_bound_as_the_signature_says() -> None:
    w = np.zeros(1)
    opt = gs.AdamW(w, 0.1, (0.8, 0.9), 1e-6, 0.2, True, maximize=True)
    assert (opt.lr, opt.betas, opt.eps) == (0.1, (0.8, 0.9), 1e-6)
    assert (opt.weight_decay, opt.amsgrad, opt.maximize) == (0.2, True, True)
    assert opt.decoupled_weight_decay is True
    assert gs.SGD(params=w, lr=0.5).lr == 0.5
    with pytest.raises(TypeError, match=r"SGD was given 'lr' twice, by position and by name"):
        gs.SGD(w, 0.1, lr=0.2)  # type: ignore[misc]
    with pytest.raises(TypeError, match=r"SignSGD takes at most 4 options by position \(lr, mom"):
        gs.SignSGD(w, 0.1, 0.9, 0.0, False, True)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="params"):
        gs.SGD()  # type: ignore[call-arg]


def test_what_a_subclass_declares_wins_over_its_base() -> None:
    class Careful(gs.SGD):
        lr = Number(high=0.5)
        momentum = Number(0.9, high=1.0)
        nesterov = Flag(True)

    w = np.zeros(1)
    opt = Careful(w)
    assert (opt.lr, opt.momentum, opt.nesterov) == (1e-3, 0.9, True)
    assert list(inspect.signature(Careful).parameters) == list(inspect.signature(gs.SGD).parameters)
    with pytest.raises(ValueError, match=r"lr must be a number in \[0, 0\.5\)"):
        Careful(w, lr=0.7)
    with pytest.raises(ValueError, match=r"lr must be a number in \[0, 0\.5\)"):
        opt.lr = 0.7
    with pytest.raises(TypeError, match="Careful has no option 'fast'; its options are lr, mom"):
        Careful(w, fast=True)  # type: ignore[call-arg]
    assert gs.SGD(w, lr=0.7).momentum == 0.0
    assert opt.state_dict()["optimizer"] == "Careful"
    assert "default True" in (Careful.__doc__ or "")


def test_a_subclass_may_have_a_constructor_of_its_own() -> None:
    class Slow(gs.SGD):
        """Half as fast."""

        def __init__(self, params: Any, speed: float) -> None:
            super().__init__(params, lr=speed / 2)

    assert list(inspect.signature(Slow).parameters) == ["params", "speed"]
    assert Slow.__doc__ == "Half as fast."
    assert Slow(np.zeros(1), 0.5).lr == 0.25


def test_a_hyperparameter_without_a_default_has_to_be_given() -> None:
    class Strict(gs.SGD):
        temperature = Number()

    assert Strict(np.zeros(1), temperature=2.0).temperature == 2.0  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="Strict needs 'temperature', which has no default"):
        Strict(np.zeros(1))


@BY_CLASS
def test_defaults_lie_in_their_ranges(cls: type[gs.Optimizer]) -> None:
    for declared in cls.method.hyperparameters.values():
        assert declared.check(declared.default) == declared.default
        assert declared.doc


@pytest.mark.parametrize(("spec", "variant"), ALL_CASES, ids=ALL_IDS)
def test_slots_are_declared_and_docstrings_say_what_they_weigh(spec: Any, variant: Any) -> None:
    method = spec.cls.method
    slots = [method.slots[n] for n in method.state_slots(variant.rule, (1,))]
    slots = [slot for slot in slots if slot.kind != "matrix"]
    slots = [slot for slot in slots if slot.kind == "element"]
    weight = sum(np.dtype(s.dtype("float32")).itemsize for s in slots)
    text = re.sub(r"\s+", " ", (inspect.getdoc(spec.cls) or "").partition("State:")[2])
    if spec.cls is gs.AdamW:
        assert text.startswith(" as for :class:`Adam`")
        return
    says = text.partition(". ")[0]
    numbers = {int(n) for n in re.findall(r"\d+(?= (?:bytes|more|with))", says)}
    if "more each" in says:
        numbers |= {4 * len(slots)}
    assert weight in numbers | ({0} if "none" in says else set())


def test_slots_of_every_kind() -> None:
    param, h = np.ones((3, 5), np.float32), {"lr": 0.5}
    shapes = {"element": (3, 5), "row": (3, 1), "column": (1, 5), "scalar": ()}
    for kind, shape in shapes.items():
        array = allocate_slot(Slot("lr", kind=kind, format="float64"), param, h, 0)  # type: ignore[arg-type]
        assert (array.shape, array.dtype) == (shape, np.float64)
        assert np.all(array == 0.5)


class OwnFront:
    """A front that subclasses none of NumPy's, over one array."""

    def __init__(self, method: Method, param: Array, **options: Any) -> None:
        chosen = Chosen(settings_of(method, method.values("OwnFront", (), options)))
        self.group = Group(method, {"0": param}, chosen, 0)
        h, rule = self.group.at(0), self.group.plan.rule
        slots = {
            name: allocate_slot(method.slots[name], param, h, i)
            for i, name in enumerate(RULES[rule].slots)
        }
        reader = GradientReader({"0": param}, {"0": look(param)}, [slots])
        self.method, self.count = method, 0
        self.table = runtime.table_type(
            [param], [list(slots.values())], [[]], [None], [None], [key_of("0")], reader
        )
        self.table.assign([(rule, False, False)], [0])

    def step(self, grad: Array) -> None:
        h, parts = self.group.settings.prepared(self.count)
        self.count += 1
        row = parts, self.method.step_coefficients(self.group.plan.rule, h, self.count)
        self.table.step([grad], [row], 1.0, False, False)


@pytest.mark.usefixtures("backend")
def test_another_front_can_own_a_method() -> None:
    rng = np.random.default_rng(0)
    ours, theirs = np.ones(100), np.ones(100)
    opt, other = gs.AdamW(ours, lr=0.1), OwnFront(adam.AdamW(), theirs, lr=0.1)
    for _ in range(3):
        grad = rng.normal(size=100)
        opt.step(grad)
        other.step(grad)
    np.testing.assert_array_equal(ours, theirs)
