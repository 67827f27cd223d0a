from __future__ import annotations

from collections.abc import Iterator

import pytest

import gradstep as gs
from tests.helpers import LOW_THRESHOLD


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


@pytest.fixture
def low_threshold() -> Iterator[None]:
    """Threads are woken for small tensors too, so that small tensors can test them."""
    if "native" not in gs.runtime.available_backends():
        yield
        return
    from gradstep import _native

    before = _native.least_work()
    _native.set_least_work(LOW_THRESHOLD // 2, LOW_THRESHOLD // 2, 0)
    yield
    _native.set_least_work(*before)
