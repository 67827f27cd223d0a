"""The experiments among the examples, as modules, and their pictures."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
PNG = b"\x89PNG\r\n\x1a\n"


def program(name: str, *needs: str) -> Any:
    """The module of an experiment; its tests are skipped where what it needs is not installed."""
    for module in ("matplotlib", *needs):
        pytest.importorskip(module, reason=f"{module} is not installed: pip install '.[examples]'")
    if str(EXAMPLES) not in sys.path:
        sys.path.append(str(EXAMPLES))  # programs import one another as they do when run
    return importlib.import_module(name)


def say(
    module: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *options: Any
) -> str:
    """What the program prints, run with these options."""
    monkeypatch.setattr(sys, "argv", [module.__name__, *map(str, options)])
    module.main()
    return capsys.readouterr().out


def assert_light_svg(path: Path) -> None:
    """A picture with a background of its own, small enough for a page."""
    text = path.read_text("utf-8")
    assert text.startswith("<?xml")
    assert "</svg>" in text
    assert "#fcfcfa" in text
    assert len(text) < 150_000
