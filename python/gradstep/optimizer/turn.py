"""Whose turn it is: one at a time changes an optimizer, and nobody waits for it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import Any, TypeVar
from weakref import WeakSet

Result = TypeVar("Result")

LAST = (-1,)  # of the free turns, of which there is one or none
STEP: tuple[str, int | None] = ("another step", None)


class Busy(RuntimeError):
    """Somebody else has the turn."""


class Turn:
    """A lock that an interrupt cannot leave taken.

    To take it is to move the one entry of a list, and to give it back is to move it again:

    >>> turn, mine = Turn(), []
    >>> give = turn.give
    >>> try:
    ...     mine += map(turn.take, LAST)  # an IndexError where somebody has it
    ... finally:
    ...     give(mine)

    Each is one call of C code, and `mine` says whether there is something to give back. After a
    fork turns that other threads had are free: those threads are not in the child.
    """

    def __init__(self) -> None:
        self.now = STEP  # what it was taken for last, and by which thread where that is known
        self.renew()
        TURNS.add(self)

    def renew(self) -> None:
        free = [None]
        self.take, self.give = free.pop, free.extend

    def busy(self, what: str) -> Busy:
        return Busy(f"this optimizer is busy with {self.now[0]}; {what} after it")

    def take_for(self, what: str, mine: list[None]) -> None:
        """Take it, into `mine`, for a method of this name; Busy where somebody has it."""
        now = what, get_ident()
        try:
            mine += map(self.take, LAST)
        except IndexError:
            raise self.busy(f"call {what}") from None
        self.now = now

    def during(self, what: str, act: Callable[..., Result], *args: Any) -> Result:
        """What ``act(*args)`` returns, having the turn meanwhile."""
        mine: list[None] = []
        give = self.give
        try:
            self.take_for(what, mine)
            result = act(*args)
        finally:
            give(mine)
        return result

    @contextmanager
    def taken(self, what: str) -> Iterator[None]:
        """For the ``with`` block; after an interrupt perhaps for as long as its traceback lives."""
        mine: list[None] = []
        give = self.give
        try:
            self.take_for(what, mine)
            yield
        finally:
            give(mine)


TURNS: WeakSet[Turn] = WeakSet()


def renew_after_fork() -> None:
    for turn in TURNS:
        if turn.now[1] != get_ident():
            turn.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=renew_after_fork)
