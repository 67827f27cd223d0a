"""What a step of many processes takes: ``python -m benchmarks.studies.many_processes``

Starts itself under ``mpiexec`` on so many ranks (``--ranks 2``), each with one thread, on AdamW
over 33.5 M elements, and measures in turn: the step of :class:`gradstep.distributed.Sharded`; its
exchange alone, sums to owners and parameters to all; a bare Alltoall and Allgather of the same
bytes; and Allreduce with a full step on each rank. With ``--ranks 1``, the step of one process on
two threads. Times are medians of rounds, of the
slowest rank, and ratios those of the two times of a round.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

import gradstep as gs
from benchmarks.tensor_sets import TENSOR_SETS

ROUNDS = 15
RATIOS = (
    ("Allreduce + full step", "Sharded.step"),
    ("its exchange", "bare Alltoall + Allgather"),
)
ENVIRONMENT = {  # of Open MPI in a container
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
}


class Rank:
    """The parameters and gradients of one rank, and what is measured on it."""

    def __init__(self, comm: Any, tensors: str, wire: str | None) -> None:
        from mpi4py import MPI

        self.comm, self.max = comm, MPI.MAX
        rng = np.random.default_rng(0)
        shapes = TENSOR_SETS[tensors]
        self.params = [rng.normal(size=shape).astype(np.float32) for shape in shapes]
        self.grads = [rng.normal(size=shape).astype(np.float32) for shape in shapes]
        self.elements = sum(p.size for p in self.params)
        self.wire = wire

    def seconds(self, act: Callable[[], object]) -> float:
        """Of a round: from when all begin until the last has ended."""
        self.comm.Barrier()
        start = time.perf_counter()
        act()
        return self.comm.allreduce(time.perf_counter() - start, self.max)

    def studies(self) -> dict[str, Callable[[], object]]:
        from mpi4py import MPI

        comm, size = self.comm, self.comm.size
        if size == 1:
            opt = gs.AdamW(self.params, lr=1e-3)
            return {"step of one process": lambda: opt.step(self.grads)}
        sharded = gs.distributed.Sharded(gs.AdamW, self.params, comm, lr=1e-3, wire=self.wire)
        stepping = sharded._stepping
        sharded.step(self.grads)
        present = (True,) * len(self.params)
        flat = [grad.reshape(-1) for grad in self.grads]
        sums = stepping._sums_for(present, (1,) * size)

        def exchange() -> None:
            sums.of([flat])
            stepping.spread(present)

        part = -(-self.elements // size)
        sent, received = np.ones(part * size, np.float32), np.empty(part * size, np.float32)

        def bare() -> None:
            comm.Alltoall(sent, received)
            comm.Allgather(MPI.IN_PLACE, received)

        whole = gs.AdamW(self.params, lr=1e-3)

        def allreduce() -> None:
            for grad, total in zip(flat, self.totals, strict=True):
                comm.Allreduce(grad, total)
            whole.step(self.totals_shaped, grad_scale=1 / size)

        self.totals = [np.empty_like(grad) for grad in flat]
        self.totals_shaped = [
            t.reshape(g.shape) for t, g in zip(self.totals, self.grads, strict=True)
        ]
        return {
            "Sharded.step": lambda: sharded.step(self.grads),
            "its exchange": exchange,
            "sums to owners": lambda: sums.of([flat]),
            "parameters to all": lambda: stepping.spread(present),
            "bare Alltoall + Allgather": bare,
            "Allreduce + full step": allreduce,
        }


def measure(tensors: str, threads: int, wire: str | None) -> None:
    from mpi4py import MPI

    comm = MPI.COMM_WORLD
    rank = Rank(comm, tensors, wire)
    with gs.runtime.set_num_threads(threads):
        studies = rank.studies()
        times: dict[str, list[float]] = {name: [] for name in studies}
        for _ in range(ROUNDS + 1):
            for name, act in studies.items():
                times[name].append(rank.seconds(act))
    if comm.rank:
        return
    print(f"{comm.size} ranks, {threads} threads each, {rank.elements:,} elements, wire={wire}")
    for name, seconds in times.items():
        of = seconds[1:]
        print(f"{name:>26}  {median(of) * 1e3:7.1f} ms  (from {min(of) * 1e3:.1f})", flush=True)
    for above, below in RATIOS if comm.size > 1 else ():
        pairs = zip(times[above][1:], times[below][1:], strict=True)
        print(f"{above} / {below.lower()}: {median(a / b for a, b in pairs):.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--tensors", default="33.5 M", choices=TENSOR_SETS)
    parser.add_argument("--wire", choices=["bfloat16"])
    parser.add_argument("--here", action="store_true", help="this is one of the ranks")
    args = parser.parse_args()
    if args.here:
        measure(args.tensors, args.threads, args.wire)
        return
    mpiexec = shutil.which("mpiexec", path=os.path.dirname(sys.executable)) or "mpiexec"
    command = [mpiexec, "-n", str(args.ranks), sys.executable, "-m", __spec__.name, "--here"]
    sys.exit(subprocess.call(command + sys.argv[1:], env=os.environ | ENVIRONMENT))


if __name__ == "__main__":
    main()
