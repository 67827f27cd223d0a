from __future__ import annotations

from collections.abc import Iterator

import pytest

import gradstep as gs


@pytest.fixture(params=gs.runtime.available_backends())
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    """Every backend of this installation in turn."""
    with gs.runtime.set_backend(request.param):
        yield request.param


@pytest.fixture
def native() -> Iterator[None]:
    """The native backend; the test is skipped where it was not compiled."""
    if "native" not in gs.runtime.available_backends():
        pytest.skip("the native backend was not compiled")
    with gs.runtime.set_backend("native"):
        yield
