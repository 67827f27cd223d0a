"""Do gradients that travel during the backward pass save time?

``mpiexec -n 2 python -m benchmarks.studies.overlap``

Each rank computes matrix products, as a backward pass does, in eight parts, on one thread, and
sends a bucket of 4 Mi float32 gradients to their owners: each as soon as its part is done, or all
when all are. Medians of rounds, of the slowest rank.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import time
from collections.abc import Callable
from statistics import median

import numpy as np
from mpi4py import MPI

from gradstep.distributed.mpi import MPIRanks
from gradstep.distributed.transport import Wait

BUCKETS, SIZE, ROUNDS = 8, 4 * 2**20, 9


def main() -> None:
    ranks = MPIRanks(MPI.COMM_WORLD)
    rng = np.random.default_rng(0)
    a = rng.normal(size=(700, 700)).astype(np.float32)
    grads = rng.normal(size=(BUCKETS, ranks.size, SIZE // ranks.size)).astype(np.float32)
    room = np.empty_like(grads)

    def work() -> None:
        for _ in range(2):
            a @ a

    def send(bucket: int) -> Wait:
        others = [r for r in range(ranks.size) if r != ranks.rank]
        sent = [[grads[bucket, r]] if r in others else [] for r in range(ranks.size)]
        received = [[room[bucket, r]] if r in others else [] for r in range(ranks.size)]
        return ranks.exchange(sent, received)

    def products_alone() -> None:
        for _ in range(BUCKETS):
            work()

    def exchange_alone() -> None:
        for wait in [send(bucket) for bucket in range(BUCKETS)]:
            wait()

    def one_after_the_other() -> None:
        products_alone()
        exchange_alone()

    def overlapped() -> None:
        waits = []
        for bucket in range(BUCKETS):
            work()
            waits.append(send(bucket))
        for wait in waits:
            wait()

    studies: list[Callable[[], None]] = [
        products_alone, exchange_alone, one_after_the_other, overlapped,
    ]  # fmt: skip
    times: dict[str, list[float]] = {study.__name__: [] for study in studies}
    for _ in range(ROUNDS + 1):
        for study in studies:
            MPI.COMM_WORLD.Barrier()
            start = time.perf_counter()
            study()
            seconds = MPI.COMM_WORLD.allreduce(time.perf_counter() - start, MPI.MAX)
            times[study.__name__].append(seconds)
    if ranks.rank == 0:
        for name, seconds_of in times.items():
            print(f"{name.replace('_', ' '):>20}  {median(seconds_of[1:]) * 1e3:6.1f} ms")


if __name__ == "__main__":
    main()
