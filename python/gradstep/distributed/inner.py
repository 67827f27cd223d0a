"""The optimizer of one rank's share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.arrays.groups import split_groups
from gradstep.arrays.memory import flat
from gradstep.arrays.parts import whole
from gradstep.directions.table import OF_RULE
from gradstep.distributed.shares import Shares
from gradstep.distributed.transport import Transport
from gradstep.distributed.wanted import Wanted
from gradstep.distributed.whole import Whole
from gradstep.optimizer.cohorts import after_step
from gradstep.optimizer.front import Optimizer
from gradstep.optimizer.layout import Layout
from gradstep.optimizer.rounds import Exchange, Measured, Rounds, ToAll
from gradstep.optimizer.turn import Turn
from gradstep.reference import RULES
from gradstep.reference.rules import NOTHING

Array = NDArray[Any]


class Inner:
    """Takes the steps of the parts that this rank owns of all tensors.

    It is an optimizer over one-dimensional arrays of the parameters' own names, which are empty
    where the rank owns nothing of a tensor. So groups, step counts and draws are the whole's.
    """

    def __init__(
        self,
        kind: type[Optimizer],
        of_all: Whole,
        shares: Shares,
        transport: Transport,
        options: Mapping[str, Any],
    ) -> None:
        self._transport = transport
        parts = [
            [
                (whole(param)._replace(first=begin), end - begin)
                for i, param in enumerate(of_all.arrays)
                for begin, end in [shares.part(rank, i)]
            ]
            for rank in range(transport.size)
        ]
        self._rounds = Rounds(parts, transport.rank)
        own = dict(zip(of_all.names, parts[transport.rank], strict=True))
        arrays = {
            name: flat(of_all.params[name])[part.first : part.first + size]
            for name, (part, size) in own.items()
        }
        given = dict(options)
        picked, copies = given.pop("groups", None), given.pop("copies", None)
        if copies is not None:
            raise TypeError("Sharded keeps no copies of parameters; leave copies= out")
        name, method = kind.__name__, kind.method
        values = method.values(name, (), given)
        check_elementwise(name, method.rule(values))
        self.opt = kind.__new__(kind)
        self.opt._turn = Turn()
        self.opt._layout = Layout(
            name,
            method,
            values,
            *split_groups(of_all.like(arrays)),
            picked,
            parts={name: part for name, (part, _) in own.items()},
        )

    @property
    def layout(self) -> Layout:
        return self.opt._layout

    def step(
        self, grads: Sequence[Array | None], grad_scale: float, wanted: Wanted
    ) -> tuple[float | None, bool]:
        """The norm, where it is asked for, and whether the step was skipped."""
        layout = self.layout
        table, cohorts = layout.table, layout.cohorts
        skips = wanted.skip_nonfinite or layout.skips_nonfinite
        with_norm = wanted.with_norm or wanted.skip_nonfinite or layout.needs_norm
        table.begin(wanted.rows, grad_scale)
        try:
            norm, counts = self._exchanged(
                self._rounds.of_step(
                    layout, wanted.rows, grads, with_norm=with_norm, skip_nonfinite=skips
                )
            )
            if skips and norm is not None and not isfinite(norm):
                table.abort()
                return norm, True
            table.apply(0, grads, counts=counts)
        except BaseException:
            table.abort()
            raise
        if absent := table.end():
            cohorts = after_step(cohorts, absent)
        layout.steps, layout.cohorts = layout.steps + 1, cohorts
        return norm, False

    def _exchanged(self, rounds: Exchange) -> Measured:
        """What the rounds of a step end with, having sent what they ask for."""
        came: Any = None
        while True:
            try:
                asked = rounds.send(came)
            except StopIteration as end:
                measured: Measured = end.value
                return measured
            size = self._transport.size
            came = self._each([asked.array] * size if isinstance(asked, ToAll) else asked.arrays)

    def _each(self, arrays: Sequence[Array]) -> list[Array]:
        """What every rank has for this one, where this one has these arrays for them."""
        transport = self._transport
        lengths = transport.all_gather(np.array([array.size for array in arrays], np.int64))
        came = [np.empty(length) for length in lengths[:, transport.rank].tolist()]
        came[transport.rank] = arrays[transport.rank]
        sent = [[array] if array.size else [] for array in arrays]
        transport.exchange(sent, [[array] if array.size else [] for array in came])()
        return came


def check_elementwise(name: str, rule: str) -> None:
    """Raise a ValueError where the steps of a rule need more than parts of tensors."""
    if rule in OF_RULE or RULES[rule].whole is not NOTHING:
        raise ValueError(
            f"the steps of {name} depend on whole tensors, of which each rank has a part; use "
            "AdamW or another optimizer whose steps go element by element"
        )
