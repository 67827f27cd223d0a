"""Ranks that are processes of torch.distributed, over gloo."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.distributed.transport import Messages, Wait, in_bytes

Array = NDArray[Any]


class GroupRanks:
    """The ranks of a process group of PyTorch's, which has to be one for tensors on the CPU."""

    def __init__(self, group: Any) -> None:
        import torch
        import torch.distributed as dist

        if "gloo" not in dist.get_backend(group):
            raise ValueError(
                f"comm is a process group of the backend {dist.get_backend(group)!r}; arrays in "
                "NumPy need one of 'gloo': torch.distributed.new_group(backend='gloo')"
            )
        self._torch, self._dist, self._group = torch, dist, group
        self.rank: int = dist.get_rank(group)
        self.size: int = dist.get_world_size(group)

    def exchange(self, sent: Messages, received: Messages) -> Wait:
        dist, group, works = self._dist, self._group, []
        for distance in range(1, self.size):
            source = (self.rank - distance) % self.size
            number = dist.get_global_rank(group, source)
            works += [dist.irecv(self._of(a), number, group) for a in received[source] if a.size]
        for distance in range(1, self.size):
            target = (self.rank + distance) % self.size
            number = dist.get_global_rank(group, target)
            works += [dist.isend(self._of(a), number, group) for a in sent[target] if a.size]

        def wait() -> None:
            for work in works:
                work.wait()

        return wait

    def all_gather(self, own: Array) -> Array:
        gathered = np.empty((self.size, *own.shape), own.dtype)
        if own.size:
            rows = [self._of(row) for row in gathered]
            self._dist.all_gather(rows, self._of(own), self._group)
        return gathered

    def barrier(self) -> None:
        self._dist.barrier(self._group)

    def abort(self, text: str) -> None:
        print(f"gradstep: rank {self.rank}: {text}", file=sys.stderr, flush=True)

    def _of(self, array: Array) -> Any:
        memory = in_bytes(array)
        if memory.flags.writeable:
            return self._torch.from_numpy(memory)
        # torch warns of read-only memory, which is only read here.
        return self._torch.frombuffer(memory_of(memory), dtype=self._torch.uint8)


def memory_of(array: Array) -> Any:
    writeable = array.view()
    try:
        writeable.flags.writeable = True
    except ValueError:
        return array.copy()
    return writeable
