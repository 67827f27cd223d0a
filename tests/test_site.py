"""The documentation's own tools: equations that are drawn, and the look at a built site."""

from __future__ import annotations

import importlib.util
import inspect
import re
from pathlib import Path
from types import ModuleType

import pytest

import gradstep as gs
from tests.site import faults

EQUATIONS = Path(__file__).parents[1] / "docs" / "equations.py"


@pytest.fixture(scope="module")
def equations() -> ModuleType:
    spec = importlib.util.spec_from_file_location("equations", EQUATIONS)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("written", "latex"),
    [
        ("v ← β2·v + g²", r"v \leftarrow β_{2} \cdot v + g^2"),
        ("(m/(1−β1ᵗ)) / (√v + ε)", r"\frac{\frac{m}{1 - β_{1}^t}}{\sqrt{v} + ε}"),
        ("lr/b·m/u", r"\frac{\frac{\mathrm{lr}}{b} \cdot m}{u}"),
        ("√max(a, |b|)", r"\sqrt{\operatorname{max}\left(a,\; \left|b\right|\right)}"),
        ("0 where it fell", r"0\text{ where it fell }"),
        ("−μ_{t+1}·m̂", r"- μ_{t + 1} \cdot \hat{m}"),
    ],
)
def test_equations_become_latex(equations: ModuleType, written: str, latex: str) -> None:
    assert equations.latex_of(written) == latex


@pytest.mark.parametrize("written", ["(a + b", "a + b)", "a ·", 'a  "b"', "√"])
def test_what_is_no_equation_is_left_alone(equations: ModuleType, written: str) -> None:
    with pytest.raises(ValueError, match=r"no place|not closed|has to follow"):
        equations.aligned(written)


@pytest.mark.parametrize("name", gs.__all__)
def test_every_equation_in_a_docstring_is_drawn(equations: ModuleType, name: str) -> None:
    text = inspect.getdoc(getattr(gs, name)) or ""
    for block in re.findall(r"::\n\n((?:    .*\n)+)", text):
        drawn = equations.aligned(block)
        assert drawn.count(r"\\[") + 1 == len(block.splitlines())
        assert drawn.count("{") == drawn.count("}")


def test_a_site_is_looked_through(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(
        '<a id="here" href="#here"></a><a href="https://example.org"></a>'
        '<a href="other.html#there"></a><a href="other.html#nowhere"></a><a href="gone.html"></a>'
        '<script src="https://example.org/x.js"></script><link rel="stylesheet" href="a.css">'
    )
    (tmp_path / "other.html").write_text('<p id="there"></p>')
    (tmp_path / "a.css").write_text("@font-face { src: url('//example.org/font') }")
    assert faults(tmp_path) == [
        "index.html links to other.html#nowhere, which has no such place",
        "index.html links to gone.html, which is not there",
        "index.html loads https://example.org/x.js",
        "a.css loads url('//example.org/font",
    ]
