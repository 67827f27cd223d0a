"""What tests run on ranks: ``mpiexec -n 2 python -m tests.distributed.program gradients``"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

import gradstep as gs
from gradstep.distributed import Sharded
from tests.distributed.training import ELEMENTWISE, Training, params_of
from tests.helpers import Array, gradients

FULL = bool(os.environ.get("GRADSTEP_FULL"))
OPTIONS = {"lr": 0.05, "weight_decay": 0.1, "ema_decay": 0.9}
TRAININGS = {
    **{
        f"{spec.cls.__name__}-{variant.name}": Training(spec.cls, variant.options, shards=8)
        for spec, variant in ELEMENTWISE
        if variant is spec.variants[0] or FULL
    },
    "seven shards": Training(gs.AdamW, shards=7),
    "limits": Training(
        gs.AdamW, {"clip_norm": 0.5, "clip_adaptive": 0.01, "cautious": True}, shards=8
    ),
    "sum": Training(gs.SGD, {"lr": 0.01, "momentum": 0.9}, shards=8, average=False),
}


def digest(arrays: dict[str, Array]) -> str:
    found = sha256()
    for name in sorted(arrays):
        found.update(name.encode())
        found.update(arrays[name].tobytes())
    return found.hexdigest()


def trained(comm: Any, *_: str) -> dict[str, str]:
    """The digest of all that each training has written, on this rank."""
    return {name: digest(training.on(comm)[0]) for name, training in TRAININGS.items()}


def saved(comm: Any, path: str) -> dict[str, Any]:
    """Steps with a checkpoint after each, that another run goes on from."""
    params = params_of()
    training = Training(gs.AdamW, OPTIONS)
    opt = Sharded(gs.AdamW, params, comm, **OPTIONS)
    if Path(path).exists():
        gs.load(path, opt)
    training.step(opt, params, opt.steps)
    gs.save(path, opt)
    return {"steps": opt.steps, "digest": digest(params)}


def begun(comm: Any) -> tuple[Sharded, dict[str, Array]]:
    params = params_of()
    opt = Sharded(gs.AdamW, params, comm, lr=0.1)
    opt.step(gradients(params, 0))
    return opt, params


def raising(comm: Any) -> None:
    """One rank raises between steps, and nobody catches it."""
    opt, params = begun(comm)
    if comm.rank == 1:
        raise KeyError("mine")
    opt.step(gradients(params, 1))


def leaving(comm: Any) -> None:
    """One rank ends without an error."""
    opt, params = begun(comm)
    if comm.rank == 1:
        sys.exit(0)
    opt.step(gradients(params, 1))


def killed(comm: Any) -> None:
    """One rank is killed, as by a system that is out of memory."""
    opt, params = begun(comm)
    if comm.rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    opt.step(gradients(params, 1))


def killed_while_saving(comm: Any, path: str) -> None:
    """The first rank is killed when the data are there, and the file has not its name yet."""
    opt, params = begun(comm)
    gs.save(path, opt)
    os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    opt.step(gradients(params, 1))
    gs.save(path, opt)


def refused(comm: Any) -> dict[str, str]:
    """Errors on all ranks; they go on after each."""
    opt, params = begun(comm)
    texts = {}
    for what, value in (("shape", np.ones(3)), ("none", None)):
        grads: dict[str, Any] = gradients(params, 1)
        if comm.rank == 1:
            grads["large"] = value
        try:
            opt.step(grads)
        except (ValueError, RuntimeError) as error:
            texts[what] = f"{type(error).__name__}: {error}"
    opt.step(gradients(params, 2))
    return texts | {"steps": str(opt.steps), "threads": str(gs.runtime.num_threads())}


def comm_of(kind: str) -> Any:
    if kind == "mpi":
        from mpi4py import MPI

        return MPI.COMM_WORLD
    if kind == "self":
        from mpi4py import MPI

        return MPI.COMM_SELF
    import torch.distributed as dist

    dist.init_process_group("gloo")
    return dist.group.WORLD


def main(kind: str, work: str, *args: str) -> None:
    comm = comm_of(kind)
    result = globals()[work](ranked(comm), *args)
    time.sleep(0.05 * rank_of(comm))  # so that lines are not mixed
    print(json.dumps(result), flush=True)


def ranked(comm: Any) -> Any:
    return comm if hasattr(comm, "Get_rank") else gs.distributed.adapters.transport_of(comm)


def rank_of(comm: Any) -> int:
    return int(comm.Get_rank() if hasattr(comm, "Get_rank") else comm.rank())


if __name__ == "__main__":
    main(*sys.argv[1:])
