"""One optimizer over many processes, each of which owns a share of its state."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from numpy.typing import NDArray

from gradstep.distributed.adapters import transport_of
from gradstep.distributed.agreement import Agreement
from gradstep.distributed.inner import Inner
from gradstep.distributed.shares import Shares
from gradstep.distributed.spreading import Spreading
from gradstep.distributed.sums import Sums
from gradstep.distributed.whole import Whole, description
from gradstep.optimizer.front import Optimizer
from gradstep.optimizer.group import Group
from gradstep.optimizer.step_info import DONE, StepInfo
from gradstep.optimizer.turn import Turn
from gradstep.values import check_flag, check_grad_scale

Array = NDArray[Any]


class Sharded:
    """`optimizer` over the ranks of `comm`, each with a share of the state (ZeRO-1)."""

    def __init__(
        self,
        optimizer: type[Optimizer],
        params: Any,
        comm: Any = None,
        *by_place: Any,
        average: bool = True,
        wire: str | None = None,
        **options: Any,
    ) -> None:
        self._turn = Turn()
        self._transport = transport_of(comm)
        self._agreement = Agreement(self._transport)
        self._average, self._wire = average, wire
        lines: list[str] = []
        failed: BaseException | None = None
        try:
            check_flag("average", average)
            if wire not in (None, "bfloat16"):
                raise ValueError(f"wire must be None or 'bfloat16', got {wire!r}")
            self._whole = whole = Whole(params)
            self._shares = Shares([array.size for array in whole.arrays], self.size)
            self._inner = Inner(optimizer, whole, self._shares, self.rank, options)
            lines = [
                f"the optimizer is {optimizer.__name__}, with average={average}, wire={wire!r}",
                *description(whole.names, whole.arrays),
                *self._settings(),
            ]
        except BaseException as error:
            failed = error
        self._agreement.meet("\n".join(lines).encode(), lambda: lines, error=failed)
        self._sums: dict[Any, Sums] = {}
        self._spreadings: dict[Any, Spreading] = {}

    def _settings(self) -> list[str]:
        lines = []
        for i, group in enumerate(self._inner.layout.groups):
            values = group.at(self._inner.layout.steps)
            lines.append(f"groups[{i}] has the parameters {', '.join(group.names)}")
            lines += [f"groups[{i}] has {name}={value!r}" for name, value in values.items()]
        return lines

    @property
    def rank(self) -> int:
        return self._transport.rank

    @property
    def size(self) -> int:
        return self._transport.size

    @property
    def params(self) -> Mapping[str, Array]:
        return MappingProxyType(self._whole.params)

    @property
    def groups(self) -> tuple[Group, ...]:
        return self._inner.opt.groups

    @property
    def steps(self) -> int:
        return self._inner.layout.steps

    def step(
        self,
        grads: Any,
        *,
        shards: int | None = None,
        grad_scale: float = 1.0,
        with_norm: bool = False,
        skip_nonfinite: bool = False,
    ) -> StepInfo:
        return self._turn.during(
            "step()", self._step, grads, shards, grad_scale, with_norm, skip_nonfinite
        )

    def _step(
        self,
        grads: Any,
        shards: int | None,
        grad_scale: float,
        with_norm: bool,
        skip_nonfinite: bool,
    ) -> StepInfo:
        layout, whole = self._inner.layout, self._whole
        failed: BaseException | None = None
        given: list[list[Array | None]] = []
        present: tuple[bool, ...] = ()
        what: tuple[Any, ...] = ()
        rows: Any = []
        try:
            grad_scale = check_grad_scale(grad_scale)
            rows = layout.rows()
            given = whole.shards(grads, shards is not None)
            whole.check()
            present = tuple(grad is not None for grad in given[0])
            what = (layout.steps, shards, grad_scale, with_norm, skip_nonfinite, present, rows)
        except BaseException as error:
            failed = error
        counts = self._agreement.meet(
            repr(what).encode(), lambda: self._lines(what), own=len(given), error=failed
        )
        sums = self._sums_for(present, tuple(counts))
        parts = sums.of(given)
        scale = grad_scale / sums.shards if self._average else grad_scale
        self._inner.step(parts, rows, scale)
        self._spreading_for(present).run()
        return DONE

    def _lines(self, what: tuple[Any, ...]) -> list[str]:
        steps, shards, grad_scale, with_norm, skip_nonfinite, present, _ = what
        there = zip(self._whole.names, present, strict=True)
        return [
            f"it has taken {steps} steps",
            f"the step is of shards={shards}",
            f"grad_scale={grad_scale!r}, {with_norm=}, {skip_nonfinite=}",
            *(f"gradient {n!r} is {'an array' if given else 'None'}" for n, given in there),
            *self._settings(),
        ]

    def _sums_for(self, present: tuple[bool, ...], counts: tuple[int, ...]) -> Sums:
        key = present, counts
        if key not in self._sums:
            self._sums = {
                key: Sums(
                    self._transport, self._shares, self._whole.dtypes, present, counts,
                    self._wire is not None,
                )
            }  # fmt: skip
        return self._sums[key]

    def _spreading_for(self, present: tuple[bool, ...]) -> Spreading:
        if present not in self._spreadings:
            views = self._whole.views()
            self._spreadings = {present: Spreading(self._transport, self._shares, views, present)}
        return self._spreadings[present]
