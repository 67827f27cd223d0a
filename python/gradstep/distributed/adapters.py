"""What users give as `comm`, as a transport."""

from __future__ import annotations

import sys
from typing import Any

from gradstep.distributed.mpi import MPIRanks, world
from gradstep.distributed.process_group import GroupRanks
from gradstep.distributed.transport import Transport


def transport_of(comm: Any) -> Transport:
    """A communicator of mpi4py, a process group of torch.distributed, or a transport as it is.

    None is mpi4py's ``MPI.COMM_WORLD``.
    """
    if comm is None:
        comm = world()
    if isinstance(comm, Transport):
        return comm
    if type(comm).__module__.partition(".")[0] == "mpi4py":
        return MPIRanks.of(comm)
    torch = sys.modules.get("torch.distributed")
    if torch is not None and isinstance(comm, getattr(torch, "ProcessGroup", ())):
        return GroupRanks(comm)
    raise TypeError(
        "comm must be a communicator of mpi4py, like MPI.COMM_WORLD, a process group of "
        "torch.distributed, like torch.distributed.group.WORLD, or an object with the methods of "
        f"gradstep.distributed.Transport; got a {type(comm).__name__}"
    )
