"""Who may know whom: the modules' imports, those for type checking included, go one way."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from types import ModuleType

import benchmarks
import pytest

import gradstep

# From the bottom to the top: a room knows those before it.
ROOMS = (
    "values", "arrays", "reference", "runtime", "schedules", "method", "methods", "directions",
    "optimizer", "loop", "closures", "around", "distributed", "saving", "torch", "thinc",
)  # fmt: skip


def sources(package: ModuleType) -> dict[str, Path]:
    """The files of all modules of a package, by name."""
    root = Path(str(package.__file__)).parent
    return {
        ".".join((package.__name__, *path.relative_to(root).with_suffix("").parts)).removesuffix(
            ".__init__"
        ): path
        for path in root.rglob("*.py")
    }


OURS = sources(gradstep)
SOURCES = OURS | sources(benchmarks)


def imported(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        for alias in node.names:
            name = f"{node.module}.{alias.name}"
            compiled = name == "gradstep._native"
            yield name if compiled or name in SOURCES else node.module


@cache
def imports() -> dict[str, set[str]]:
    """The modules of both packages that each of them imports, anywhere in its text."""
    return {
        name: {
            target
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            for target in imported(node)
            if target in SOURCES
        }
        for name, path in SOURCES.items()
    }


def test_no_modules_import_one_another_in_a_circle() -> None:
    try:
        TopologicalSorter(imports()).prepare()
    except CycleError as error:
        pytest.fail(" → ".join(error.args[1]))


def test_rooms_know_only_those_below_them() -> None:
    upward = []
    for name in OURS:
        room = name.split(".")[1] if "." in name else None
        if room is None or room == "__main__":
            continue  # the roof
        for target in imports()[name]:
            known = target.split(".")[1] if "." in target else None
            if known is None or ROOMS.index(known) > ROOMS.index(room):
                upward.append(f"{name} → {target}")
    assert not upward


def test_every_room_is_in_the_order() -> None:
    rooms = {name.split(".")[1] for name in OURS if "." in name} - {"__main__"}
    assert rooms == set(ROOMS)


def test_the_drawing_has_the_order() -> None:
    text = (Path(__file__).parents[1] / "docs" / "architecture.md").read_text("utf-8")
    drawn = re.findall(r"^\| `(\w+)(?:/|\.py)` \|", text, re.MULTILINE)
    assert drawn == ["__init__", *reversed(ROOMS), "csrc"]
