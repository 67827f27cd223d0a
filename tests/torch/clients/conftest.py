"""Clients run offline and on one thread."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"  # read once, at import


@pytest.fixture(autouse=True)
def _one_thread_and_its_own_draws() -> Iterator[None]:
    torch = pytest.importorskip("torch", reason="torch is not installed: pip install '.[torch]'")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.random.fork_rng(devices=[]):
        yield
    torch.set_num_threads(threads)
