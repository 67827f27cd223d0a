"""Examples in docstrings and documents run as printed; what documents link to is there."""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import pkgutil
import re
from pathlib import Path

import pytest

import gradstep

NEEDS = {
    "gradstep.saving.file": ["safetensors"],
    "gradstep.saving.torch_state": ["torch"],
    "docs/checkpoints.md": ["safetensors"],
    "docs/logging.md": ["tqdm", "tensorboardX", "mlflow"],
    "docs/pytorch.md": ["torch"],
    "docs/storage.md": ["ml_dtypes"],
    "docs/tutorial.md": ["scipy", "safetensors"],
}
ROOT = Path(__file__).parents[1]
MODULES = [
    name
    for _, name, _ in pkgutil.walk_packages(gradstep.__path__, "gradstep.")
    if not name.endswith(("_native", "__main__"))
]


def skip_without(name: str) -> None:
    fronts = [front for front in ("torch", "thinc") if name.startswith(f"gradstep.{front}")]
    for module in NEEDS.get(name, fronts):
        pytest.importorskip(module, reason=f"{module} is not installed")


@pytest.mark.parametrize("name", ["gradstep", *MODULES])
def test_doctests(name: str) -> None:
    skip_without(name)
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0


def test_the_doctests_are_there() -> None:
    found = sum(
        len(test.examples)
        for name in ["gradstep", *MODULES]
        if not name.startswith(("gradstep.torch", "gradstep.thinc"))
        for test in doctest.DocTestFinder().find(importlib.import_module(name))
    )
    assert found > 20


DOCUMENTS = {
    path.relative_to(ROOT).as_posix(): path.read_text("utf-8")
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*.md"))
}
BLOCKS = {
    path: blocks
    for path, text in DOCUMENTS.items()
    if (blocks := re.findall(r"```python\n(.*?)```", text, re.DOTALL))
}


@pytest.mark.parametrize("path", BLOCKS)
def test_python_in_documents_runs(path: str) -> None:
    skip_without(path)
    names: dict[str, object] = {}
    for block in BLOCKS[path]:
        if "import torch" in block and importlib.util.find_spec("torch") is None:
            continue
        exec(compile(block, path, "exec"), names)


@pytest.mark.parametrize("path", DOCUMENTS)
def test_links_lead_to_files(path: str) -> None:
    links = re.findall(r"\]\(([^)#]+)", DOCUMENTS[path])
    dead = [
        link
        for link in links
        if not link.startswith("https://") and not (ROOT / path).parent.joinpath(link).exists()
    ]
    assert not dead
