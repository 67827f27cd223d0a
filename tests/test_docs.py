"""Examples in docstrings and in the README run as printed."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import gradstep

NEEDS = {
    "gradstep.checkpoints": "safetensors",
    "gradstep.torch_state": "torch",
    "docs/checkpoints.md": "safetensors",
}
ROOT = Path(__file__).parents[1]
MODULES = [
    name
    for _, name, _ in pkgutil.walk_packages(gradstep.__path__, "gradstep.")
    if not name.endswith(("_native", "__main__"))
]


@pytest.mark.parametrize("name", ["gradstep", *MODULES])
def test_doctests(name: str) -> None:
    if name in NEEDS:
        pytest.importorskip(NEEDS[name], reason=f"{NEEDS[name]} is not installed")
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0


def test_the_doctests_are_there() -> None:
    found = sum(
        len(test.examples)
        for name in ["gradstep", *MODULES]
        for test in doctest.DocTestFinder().find(importlib.import_module(name))
    )
    assert found > 20


@pytest.mark.parametrize("path", ["README.md", "docs/checkpoints.md"])
def test_python_in_documents_runs(path: str) -> None:
    if path in NEEDS:
        pytest.importorskip(NEEDS[path], reason=f"{NEEDS[path]} is not installed")
    if not (ROOT / path).exists():
        pytest.skip("documents are beside the tests only in a checkout")
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / path).read_text("utf-8"), re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, path, "exec"), {})
