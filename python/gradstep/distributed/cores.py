"""How many threads each rank uses where several run on one machine."""

from __future__ import annotations

import os
import platform
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep import runtime
from gradstep.distributed.transport import Transport

Array = NDArray[Any]

CPUS = 8192  # whose numbers an affinity can have


def share_cores(transport: Transport) -> None:
    """Let this rank use its share of the cores that it may run on, unless somebody has chosen.

    Where an MPI binds each rank to cores of its own, that is all of them.
    """
    if transport.size == 1 or getattr(transport, "in_one_process", False):
        return
    places = transport.all_gather(own_place())
    runtime.share_threads(threads_for(transport.rank, places, runtime.num_threads()))


def own_place() -> Array:
    """Which machine this is, in the first 16 bytes, and which CPUs the process may run on."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii")
    except OSError:
        boot = ""
    machine = blake2b(f"{platform.node()} {boot}".encode(), digest_size=16).digest()
    cpus = np.zeros(CPUS, np.uint8)
    if hasattr(os, "sched_getaffinity"):
        cpus[[cpu for cpu in os.sched_getaffinity(0) if cpu < CPUS]] = 1
    else:
        cpus[: os.cpu_count() or 1] = 1
    return np.concatenate([np.frombuffer(machine, np.uint8), np.packbits(cpus)])


def threads_for(rank: int, places: Array, alone: int) -> int:
    """The threads of a rank that would have `alone` of them by itself: at least one."""
    here = places[(places[:, :16] == places[rank, :16]).all(axis=1)]
    users = np.unpackbits(here[:, 16:], axis=1).sum(axis=0)
    own = np.unpackbits(places[rank, 16:]).astype(bool)
    share = (1.0 / users[own]).sum() / own.sum()
    return max(1, int(alone * share + 1e-9))
