"""Examples in docstrings and documents run as printed; what documents link to is there."""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import pkgutil
import re
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import pytest

import gradstep

TO_IMPORT = {"gradstep.directions.bfloat16": ["torch"], "gradstep.directions.by_torch": ["torch"]}
NEEDS = TO_IMPORT | {
    "gradstep.saving.file": ["safetensors"],
    "gradstep.saving.torch_state": ["torch"],
    "docs/checkpoints.md": ["safetensors"],
    "docs/logging.md": ["tqdm", "tensorboardX", "mlflow"],
    "docs/pytorch.md": ["torch"],
    "docs/storage.md": ["ml_dtypes"],
    "docs/thinc.md": ["thinc"],
    "docs/tutorial.md": ["scipy", "safetensors"],
}
# Of these each package has an example of its own.
APART = {"docs/gradients-from-anywhere.md"}
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
        if name not in TO_IMPORT and not name.startswith(("gradstep.torch", "gradstep.thinc"))
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


@pytest.mark.parametrize("path", sorted(BLOCKS.keys() - APART))
def test_python_in_documents_runs(path: str) -> None:
    skip_without(path)
    run(path, BLOCKS[path])


def run(path: str, blocks: Sequence[str]) -> None:
    names: dict[str, object] = {"__name__": "of_a_document"}
    for block in blocks:
        if "import torch" in block and importlib.util.find_spec("torch") is None:
            continue
        exec(compile(block, path, "exec"), names)


def package(block: str) -> str:
    """What an example needs beside NumPy and gradstep."""
    first = re.findall(r"^(?:from|import) (\w+)", block, re.MULTILINE)
    return next(name for name in first if name not in ("numpy", "gradstep"))


EXAMPLES = {
    f"{path}, {name}": (path, name, list(blocks))
    for path in APART
    for name, blocks in groupby(BLOCKS[path], package)
}


@pytest.mark.parametrize(("path", "name", "blocks"), EXAMPLES.values(), ids=EXAMPLES)
def test_an_example_runs(path: str, name: str, blocks: list[str]) -> None:
    pytest.importorskip(name, reason=f"{name} is not installed")
    if any("import torch" in block for block in blocks):
        pytest.importorskip("torch", reason="torch is not installed")
    run(path, blocks)


@pytest.mark.parametrize("path", DOCUMENTS)
def test_links_lead_to_files(path: str) -> None:
    links = re.findall(r"\]\(([^)#]+)", DOCUMENTS[path])
    dead = [
        link
        for link in links
        if not link.startswith("https://") and not (ROOT / path).parent.joinpath(link).exists()
    ]
    assert not dead


def test_every_decision_is_listed() -> None:
    listed = DOCUMENTS["docs/decisions/README.md"]
    for path in (ROOT / "docs" / "decisions").glob("0*.md"):
        assert f"]({path.name})" in listed, path.name
