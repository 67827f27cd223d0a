"""Native registry, reference, classes, specs and stubs speak of the same rules and names."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import gradstep as gs
from gradstep.reference import RULES
from tests.specs import CASES, SPECS
from tests.specs_of_matrices import CASES as MATRIX_CASES
from tests.specs_of_matrices import MATRIX_SPECS

ALL = (*SPECS, *MATRIX_SPECS)

OF_WRAPPERS = {"lookahead", "asam"}  # tests/around has them


def coefficients(function: Callable[..., object]) -> tuple[str, ...]:
    parameters = inspect.signature(function).parameters.values()
    return tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)


REFERENCE = {
    name: (
        coefficients(rule.function)[: len(rule.coefficients)],
        rule.slots,
        rule.has_momentum,
        rule.whole.scalars,
        rule.whole.derived,
    )
    for name, rule in RULES.items()
}


@pytest.mark.usefixtures("native")
def test_native_and_reference_have_the_same_rules_coefficients_and_slots() -> None:
    from gradstep import _native

    assert _native.rules() == REFERENCE


@pytest.mark.usefixtures("native")
def test_native_and_reference_share_the_norm_block() -> None:
    from gradstep import _native
    from gradstep.reference import measures

    assert _native.norm_block == measures.NORM_BLOCK


def test_every_rule_is_reached_by_a_spec_and_every_variant_selects_its_rule() -> None:
    for spec, variant in (*CASES, *MATRIX_CASES):
        opt = spec.cls(np.zeros((3, 2)), **variant.options)
        h = opt.groups[0].at(0)
        method = opt.method
        assert method.rule(h) == variant.rule
        fixed = method.coefficients(variant.rule, h)
        at_step = method.step_coefficients(variant.rule, h, 1)
        assert fixed.keys() | at_step.keys() == set(REFERENCE[variant.rule][0])
        assert not fixed.keys() & at_step.keys()
        kept = method.state_slots(variant.rule, opt.params["0"].shape)
        assert [*opt.state["0"]] == kept
    assert {variant.rule for _, variant in (*CASES, *MATRIX_CASES)} == set(RULES) - OF_WRAPPERS


def test_every_public_optimizer_has_a_spec() -> None:
    public = {
        value
        for name in gs.__all__
        if inspect.isclass(value := getattr(gs, name)) and issubclass(value, gs.Optimizer)
    }
    assert public - {gs.Optimizer} == {spec.cls for spec in ALL}


@pytest.mark.usefixtures("native")
def test_the_stub_describes_the_native_module() -> None:
    from gradstep import _native

    stub = ast.parse((Path(gs.__file__).parent / "_native.pyi").read_text())
    described = set()
    for node in stub.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            described.add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            described.add(node.target.id)
    assert described == {name for name in vars(_native) if not name.startswith("__")}
    for described_class in (n for n in stub.body if isinstance(n, ast.ClassDef)):
        own = {n.name for n in described_class.body if isinstance(n, ast.FunctionDef)}
        there = vars(getattr(_native, described_class.name))
        assert own - {"__init__"} == {name for name in there if not name.startswith("_")}


@pytest.mark.usefixtures("native")
def test_both_tables_offer_the_same_methods() -> None:
    """But for what reads tensors, of which gradstep.torch has the other half."""
    from gradstep import _native
    from gradstep.reference import ParamTable

    native = {name for name in vars(_native.ParamTable) if not name.startswith("_")}
    assert native - {"step_tensors"} == {
        name for name in vars(ParamTable) if not name.startswith("_")
    }


@pytest.mark.parametrize("spec", ALL, ids=[s.cls.__name__ for s in ALL])
def test_docstrings_say_what_they_must(spec: object) -> None:
    text = inspect.getdoc(spec.cls) or ""  # type: ignore[attr-defined]
    for part in ("::", "Parameters", "Notes", "State:", "Examples", ">>>", "←"):
        assert part in text
    assert re.search(r"(19|20)\d\d", text), "no source"
