"""Whose turn it is: one at a time changes an optimizer, and nobody waits for it."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from threading import get_ident
from typing import Any, TypeVar
from weakref import WeakSet

Result = TypeVar("Result")

STEP: tuple[str, int | None] = ("another step", None)


class Busy(RuntimeError):
    """Somebody else has the turn."""


class Turn:
    """A lock that an interrupt cannot leave taken.

    >>> turn, mine = Turn(), []
    >>> give = turn.give
    >>> try:
    ...     turn.take_for("step()", mine)
    ...     # whatever has to be done alone
    ... finally:
    ...     if mine:
    ...         turn.now = STEP
    ...         give(None)

    It is a deque with one entry or none: to take it and to give it back is a call of C code each,
    after which Python looks for signals, and not within. After a fork turns that other threads had
    are free: those threads are not in the child.
    """

    def __init__(self) -> None:
        self.now = STEP  # what it is taken for, and by which thread where that is known
        self.renew()
        TURNS.add(self)

    def renew(self) -> None:
        free = deque([None])
        self.take, self.give = free.pop, free.append

    def busy(self, what: str) -> Busy:
        return Busy(f"this optimizer is busy with {self.now[0]}; {what} after it")

    def take_for(self, what: str, mine: list[None]) -> None:
        """Take it, into `mine`, for a method of this name; Busy where somebody has it."""
        now, give = (what, get_ident()), self.give
        try:
            mine.append(self.take())
        except IndexError:
            raise self.busy(f"call {what}") from None
        except BaseException:
            if not mine:
                give(None)
            raise
        self.now = now

    def during(self, what: str, act: Callable[..., Result], *args: Any) -> Result:
        """What ``act(*args)`` returns, having the turn meanwhile."""
        mine: list[None] = []
        give = self.give
        try:
            self.take_for(what, mine)
            result = act(*args)
        finally:
            if mine:
                self.now = STEP
                give(None)
        return result


TURNS: WeakSet[Turn] = WeakSet()


def renew_after_fork() -> None:
    for turn in TURNS:
        if turn.now[1] != get_ident():
            turn.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=renew_after_fork)
