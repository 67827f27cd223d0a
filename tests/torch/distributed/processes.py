"""The same function in several processes on this machine, joined by gloo."""

from __future__ import annotations

import io
import itertools
import multiprocessing
import os
import sys
import time
import traceback
from collections.abc import Callable
from datetime import timedelta
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import pytest

SECONDS = 60  # until something that waits for another process is given up
PRELOADED = [
    "torch.distributed.tensor.parallel",
    "torch.distributed.fsdp",
    "torch.distributed.checkpoint.state_dict",
    "torch.distributed.optim",
    "torch._dynamo",  # which FSDP2 imports in its first step
    "gradstep.torch",
    "pytest",
]

numbers = itertools.count()


class Processes:
    """Started where all of PyTorch has been imported once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(PRELOADED)

    def __call__(self, work: Callable[..., Any], world: int, *args: Any) -> list[Any]:
        """What ``work(*args)`` returns in each of `world` processes, by rank.

        The test fails where one of them raises or does not end.
        """
        store = self._folder / f"store{next(numbers)}"
        pipes, started = [], []
        for rank in range(world):
            ours, theirs = self._context.Pipe(duplex=False)
            process = self._context.Process(
                target=one, args=(theirs, store, rank, world, work, args), daemon=True
            )
            process.start()
            theirs.close()
            pipes.append(ours)
            started.append(process)
        try:
            return results(pipes, time.monotonic() + SECONDS)
        finally:
            for process in started:
                process.kill()
                process.join()


def results(pipes: list[Connection], deadline: float) -> list[Any]:
    import torch

    done: dict[int, Any] = {}
    while len(done) < len(pipes):
        open_ones = [pipe for rank, pipe in enumerate(pipes) if rank not in done]
        ready = wait(open_ones, deadline - time.monotonic())
        if not ready:
            missing = sorted(set(range(len(pipes))) - set(done))
            pytest.fail(f"the processes {missing} have not ended in {SECONDS} s")
        for pipe in ready:
            rank = pipes.index(pipe)
            try:
                error, content = pipe.recv()
            except EOFError:
                pytest.fail(f"process {rank} died")
            if error:
                pytest.fail(f"process {rank}: {error}")
            done[rank] = torch.load(io.BytesIO(content), weights_only=False)
    return [done[rank] for rank in range(len(pipes))]


def one(
    pipe: Connection, store: Path, rank: int, world: int, work: Callable[..., Any], args: Any
) -> None:
    """What one of them does."""
    import torch
    import torch.distributed as dist

    os.environ["GLOO_SOCKET_IFNAME"] = "lo0" if sys.platform == "darwin" else "lo"
    torch.set_num_threads(1)
    content = io.BytesIO()
    try:
        dist.init_process_group(
            "gloo", f"file://{store}", timedelta(seconds=SECONDS), world_size=world, rank=rank
        )
        torch.save(work(*args), content)
        dist.barrier()
        dist.destroy_process_group()
    except BaseException:
        pipe.send((traceback.format_exc(), b""))
    else:
        pipe.send((None, content.getvalue()))
