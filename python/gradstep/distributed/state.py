"""The state of all ranks as that of one optimizer over whole parameters, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gradstep.arrays.memory import flat, memory_order
from gradstep.distributed.shares import Shares
from gradstep.distributed.transport import Transport
from gradstep.distributed.whole import Whole
from gradstep.optimizer.state_checks import check_array
from gradstep.optimizer.storage import scale_of
from gradstep.reference.packing import SCALE_BLOCK

Array = NDArray[Any]


class Cut(NamedTuple):
    """How an array of a parameter's state is shared out."""

    shape: tuple[int, ...]  # of the whole
    per: int | None  # elements of the parameter that one of it goes with; None: it is not shared

    def of(self, begin: int, end: int) -> slice:
        """The entries for elements [begin, end) of the parameter."""
        assert self.per is not None
        return slice(begin // self.per, -(-end // self.per))


class WholeState:
    """Of the optimizers of all ranks, whose parameters are parts of `whole`."""

    def __init__(
        self, transport: Transport, whole: Whole, shares: Shares, slots: Mapping[str, Any]
    ) -> None:
        self._transport, self._whole, self._shares, self._slots = transport, whole, shares, slots

    def gathered(self, own: Mapping[str, Any], to: int | None = None) -> dict[str, Any]:
        """The state of which `own` is this rank's part: on the rank `to`, or on all.

        On the others the arrays are those of `own`.
        """
        transport = self._transport
        here = to is None or to == transport.rank
        parts: list[Array] = []
        received: list[list[Array]] = [[] for _ in range(transport.size)]
        state: dict[str, Any] = {name: dict(of_one) for name, of_one in own["state"].items()}
        ema = dict(own["ema"])
        for name, key, array, cut in self._arrays(own):
            tensor = self._whole.places[name]
            parts.append(array)
            if not here:
                continue
            order = memory_order(self._whole.params[name])
            of_all = np.empty(cut.shape, array.dtype, order if len(cut.shape) > 1 else "C")
            for rank in range(transport.size):
                target = flat(of_all)[cut.of(*self._shares.part(rank, tensor))]
                if rank == transport.rank:
                    target[...] = array
                else:
                    received[rank].append(target)
            holder, entry = (ema, name) if key == "ema" else (state[name], key)
            holder[entry] = of_all
        sent = [parts if to in (None, rank) else [] for rank in range(transport.size)]
        sent[transport.rank] = []
        transport.exchange(sent, received)()
        return {**own, "state": state, "ema": ema}

    def part(self, given: Any) -> Any:
        """This rank's part of a state, as far as that can be one; the rest stays, to be refused."""
        if not isinstance(given, Mapping) or not isinstance(given.get("state"), Mapping):
            return given
        state = {
            name: {key: self._part_of(name, key, value) for key, value in of_one.items()}
            if isinstance(of_one, Mapping) and name in self._whole.params
            else of_one
            for name, of_one in given["state"].items()
        }
        averages = given.get("ema")
        if isinstance(averages, Mapping):
            averages = {
                name: self._part_of(name, "ema", value) if name in self._whole.params else value
                for name, value in averages.items()
            }
        return {**given, "state": state, "ema": averages}

    def _part_of(self, name: str, key: str, value: Any) -> Any:
        cut = self._cut(name, key)
        if cut.per is None or key == "step" or not isinstance(value, np.ndarray):
            return value
        what = f"ema[{name!r}]" if key == "ema" else f"state[{name!r}][{key!r}]"
        check_array(f"{what} in state_dict", value, cut.shape, [value.dtype.name])
        order = memory_order(self._whole.params[name])
        in_order = np.asarray(value, order=order if value.ndim > 1 else "C")
        tensor = self._whole.places[name]
        return flat(in_order)[cut.of(*self._shares.part(self._transport.rank, tensor))]

    def _arrays(self, own: Mapping[str, Any]) -> Iterator[tuple[str, str, Array, Cut]]:
        """All that is shared out, in an order that is the same on all ranks."""
        for name, of_one in own["state"].items():
            for key, array in of_one.items():
                cut = self._cut(name, key)
                if cut.per is not None and key != "step":
                    yield name, key, array, cut
        for name, array in own["ema"].items():
            yield name, "ema", array, self._cut(name, "ema")

    def _cut(self, name: str, key: str) -> Cut:
        param = self._whole.params[name]
        if key in self._slots and self._slots[key].kind != "element":
            return Cut((), None)
        if key in map(scale_of, self._slots):
            return Cut((-(-param.size // SCALE_BLOCK),), SCALE_BLOCK)
        return Cut(param.shape, 1)
