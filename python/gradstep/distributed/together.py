"""What the ranks of a :class:`Sharded` do together, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar
from zlib import crc32

from gradstep.distributed.agreement import Agreement
from gradstep.distributed.views import Views
from gradstep.distributed.wanted import Wanted
from gradstep.distributed.whole import description

Result = TypeVar("Result")


def nothing(result: Any) -> bytes:
    return b""


class Together(Views):
    """Ranks meet before anything is written: all go on, or all raise."""

    _agreement: Agreement
    _average: bool
    _check_every: int | None
    _wire: str | None

    def _described(self) -> list[str]:
        whole, steps = self._whole, self.steps
        lines = [
            f"the optimizer is {self._optimizer.__name__}, average={self._average}, "
            f"wire={self._wire!r}, check_params_every={self._check_every}",
            *description(whole.names, whole.arrays),
        ]
        for i, group in enumerate(self.groups):
            lines.append(f"groups[{i}] is of {', '.join(group.names)}")
            lines += [f"groups[{i}] has {n}={value!r}" for n, value in group.at(steps).items()]
        sums = (f"{name!r} has the values of checksum" for name in whole.names)
        return lines + [f"{text} {s:08x}" for text, s in zip(sums, self._checksums(), strict=True)]

    def _checksums(self) -> list[int]:
        return [crc32(view.data) for view in self._whole.views()]

    def _told(self, wanted: Wanted) -> list[str]:
        return wanted.lines(self._whole.names) + self._described()[1:]

    def _meet(self, what: str, error: BaseException | None = None, also: bytes = b"") -> None:
        """Let all ranks agree that they call this, and that none has an `error`."""
        self._agreement.meet(
            f"{what} after {self.steps} steps ".encode() + also,
            lambda: [
                f"it calls {what} after {self.steps} steps",
                *self._described()[1:],
                f"{what} is of content {also.hex()}",
            ],
            error=error,
        )

    def _together(self, act: Callable[..., Result], *args: Any) -> Result:
        """What ``act(*args)`` returns; where it fails, others cannot undo it, and all end."""
        try:
            return act(*args)
        except BaseException as error:
            self._transport.abort(
                f"rank {self.rank} was interrupted while ranks exchanged what they have, by "
                f"{type(error).__name__}: {error}"
            )
            raise

    def _agreed(
        self, what: str, act: Callable[[], Result], also: Callable[[Result], bytes] = nothing
    ) -> Result:
        """What ``act()`` returns, or an error on all ranks if it fails on one, or if what ``also``
        takes of it is not the same on all."""
        try:
            result = act()
            more = also(result)
        except BaseException as error:
            self._meet(what, error)
            raise
        self._meet(what, also=more)
        return result
