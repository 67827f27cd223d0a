"""What all ranks have to agree on before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b
from itertools import zip_longest
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.distributed.transport import Lost, Transport

Array = NDArray[Any]
Lines = Callable[[], Sequence[str]]

FINE, RAISED, LEFT = range(3)


class OtherRankError(RuntimeError):
    """Another rank has raised an error, and so nothing was changed on any."""


class Disagreement(ValueError):
    """The ranks have not been given the same."""


class Agreement:
    """Where the ranks of one :class:`Sharded` meet before each thing that they do together."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._ended: str | None = None
        if hasattr(transport, "say_at_exit"):
            transport.say_at_exit(record(LEFT, 0, b""))

    def meet(
        self,
        what: bytes,
        lines: Lines,
        own: int = 0,
        error: BaseException | None = None,
    ) -> list[int]:
        """Every rank's `own` number, if all have the same `what` and none has an `error`.

        Raises
        ------
        BaseException
            `error`, if this rank has one.
        OtherRankError
            If another rank has one.
        Disagreement
            If `what` differs. The text says which of the `lines` do, that tell it in words.
        Lost
            If a rank has ended.
        """
        if ended := self._ended or getattr(self._transport, "ended", None):
            raise Lost(ended)
        code = FINE if error is None else RAISED
        try:
            records = self._transport.all_gather(record(code, own, what))
            if (records[:, 0] == FINE).all() and (records[:, 2:] == records[0, 2:]).all():
                numbers: list[int] = records[:, 1].tolist()
                return numbers
            refusal = self._refusal(records[:, 0].tolist(), lines, error)
        except Lost:
            raise
        except BaseException as interrupt:
            self._transport.abort(
                f"rank {self._transport.rank} was interrupted while ranks met, by {said(interrupt)}"
            )
            raise
        raise refusal

    def _refusal(
        self, codes: list[int], lines: Lines, error: BaseException | None
    ) -> BaseException:
        left = [rank for rank, code in enumerate(codes) if code == LEFT]
        if left:
            self._ended = f"{ranks_of(left)} has ended, and this one would wait for it for ever"
            if hasattr(self._transport, "said"):
                self._transport.said(self._ended)
            return error or Lost(self._ended)
        text = own_text(error, lines if RAISED not in codes else list)
        texts = texts_of_all(self._transport, text)
        if error is not None:
            return error
        if RAISED in codes:
            return OtherRankError(
                "; ".join(
                    f"rank {rank} raised {texts[rank]}"
                    for rank, code in enumerate(codes)
                    if code == RAISED
                )
                + " (nothing has been changed on any rank)"
            )
        return Disagreement(difference([text.split("\n") for text in texts]))


def own_text(error: BaseException | None, lines: Lines) -> str:
    """What a rank tells the others: its error, or in words what it was called with."""
    try:
        return "\n".join(lines()) if error is None else said(error)
    except Exception as failed:  # a schedule's, say, which is looked at once more
        return said(failed)


def said(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # its own text fails
        return type(error).__name__


def record(code: int, own: int, what: bytes) -> Array:
    """One of these codes, a number of the rank's own, and a digest of what is to be the same."""
    numbers = np.array([code, own, 0, 0], np.int64)
    numbers[2:] = np.frombuffer(blake2b(what, digest_size=16).digest(), np.int64)
    return numbers


def texts_of_all(transport: Transport, text: str) -> list[str]:
    own = np.frombuffer(text.encode("utf-8", "replace"), np.uint8)
    lengths = transport.all_gather(np.array([own.size], np.int64))[:, 0].tolist()
    padded = np.zeros(max(lengths), np.uint8)
    padded[: own.size] = own
    rows = transport.all_gather(padded)
    return [
        row[:length].tobytes().decode("utf-8", "replace")
        for row, length in zip(rows, lengths, strict=True)
    ]


def difference(lines: Sequence[Sequence[str]]) -> str:
    """The first line that is not the same on all ranks, with who has which."""
    for of_all in zip_longest(*lines, fillvalue="nothing more"):
        if len(set(of_all)) > 1:
            who: dict[str, list[int]] = {}
            for rank, line in enumerate(of_all):
                who.setdefault(line, []).append(rank)
            said = "; ".join(f"{ranks_of(ranks)}: {line}" for line, ranks in who.items())
            return f"the ranks disagree. {said}. Nothing has been changed on any rank"
    return "the ranks disagree, in what cannot be told in words; nothing has been changed"


def ranks_of(ranks: Sequence[int], most: int = 8) -> str:
    shown = ", ".join(map(str, ranks[:most])) + (", …" if len(ranks) > most else "")
    return f"rank{'s' if len(ranks) > 1 else ''} {shown}"
