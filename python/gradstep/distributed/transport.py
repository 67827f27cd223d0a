"""What carries bytes between ranks: a small protocol, and the one rank that needs nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Messages = Sequence[Sequence[Array]]  # for each rank, what is sent to it or received from it
Wait = Callable[[], None]


class Lost(RuntimeError):
    """Another rank has left, or cannot be reached."""


@runtime_checkable
class Transport(Protocol):
    """How ranks reach one another. All of them call the same methods in the same order.

    Arrays are contiguous, and are sent as their bytes. A transport may have `in_one_process`, where
    its ranks share all cores, and `say_at_exit`, `said` and `ended`: see ``distributed/mpi.py``.
    """

    @property
    def rank(self) -> int:
        """This one's number, from 0 on."""

    @property
    def size(self) -> int:
        """How many ranks there are."""

    def exchange(self, sent: Messages, received: Messages) -> Wait:
        """Begin to send ``sent[r]`` to every other rank r, and to fill ``received[r]`` from there.

        What is returned waits until all of it has been sent and received. Several exchanges can be
        under way; they are waited for in their order. Between two ranks the messages of both sides
        are as many, and as long.
        """

    def all_gather(self, own: Array) -> Array:
        """The arrays of all ranks, which have the same shape and dtype, along a new first axis."""

    def barrier(self) -> None:
        """Wait for all ranks."""

    def abort(self, text: str) -> None:
        """End what the ranks do together, as this one cannot go on; perhaps its process with it."""


class Alone:
    """One rank, by itself."""

    rank = 0
    size = 1

    def exchange(self, sent: Messages, received: Messages) -> Wait:
        return nothing

    def all_gather(self, own: Array) -> Array:
        gathered: Array = own[None].copy()
        return gathered

    def barrier(self) -> None:
        return None

    def abort(self, text: str) -> None:
        return None


def nothing() -> None:
    return None


def in_bytes(array: Array) -> Array:
    """A contiguous array's memory, of whatever dtype it is."""
    memory: Array = array.reshape(-1).view(np.uint8)
    return memory
