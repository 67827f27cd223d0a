"""Fixtures of the tests beside torch.optim.

torch keeps step counts, and the step sizes of ASGD and NAdam, in its default dtype; gradstep has
float64 for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


def default_dtype(name: str) -> Iterator[Any]:
    torch = pytest.importorskip("torch", reason="torch is not installed: pip install '.[torch]'")
    torch.set_default_dtype(getattr(torch, name))
    yield torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def float64_numbers() -> Iterator[Any]:
    """The default dtype is float64."""
    yield from default_dtype("float64")


@pytest.fixture(params=["float32", "float64"])
def dtype(request: pytest.FixtureRequest) -> Iterator[Any]:
    """The dtype of the parameters, and the default one."""
    yield from default_dtype(request.param)
