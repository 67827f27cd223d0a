"""Ranks that are processes of torch.distributed."""

from __future__ import annotations

import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.distributed.launching import finished, results
from tests.distributed.program import TRAININGS, digest

pytest.importorskip("torch")


def test_every_optimizer_has_the_bits_of_one_process() -> None:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]

    def rank(number: int) -> Any:
        return finished(
            [sys.executable, "-m", "tests.distributed.program", "gloo", "trained"],
            RANK=str(number), WORLD_SIZE="2", MASTER_ADDR="localhost", MASTER_PORT=str(port),
        )  # fmt: skip

    expected = {name: digest(of.in_one_process()[0]) for name, of in TRAININGS.items()}
    with ThreadPoolExecutor(2) as pool:
        for done in pool.map(rank, range(2)):
            assert results(done) == [expected]
