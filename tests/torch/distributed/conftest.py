from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from tests.torch.distributed.processes import Processes


@pytest.fixture
def processes(tmp_path: Path) -> Processes:
    torch = pytest.importorskip("torch", reason="torch is not installed: pip install '.[torch]'")
    if not torch.distributed.is_available() or not torch.distributed.is_gloo_available():
        pytest.skip("this PyTorch has no gloo")
    if "forkserver" not in multiprocessing.get_all_start_methods():
        pytest.skip("there is no forkserver, without which processes take seconds to start")
    return Processes(tmp_path)
