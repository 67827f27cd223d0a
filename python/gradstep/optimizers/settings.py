"""A group's hyperparameters at one time, and the coefficients that follow from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from gradstep.optimizers.rows import average, limits

if TYPE_CHECKING:
    from gradstep.optimizers.base import Optimizer

Value = TypeVar("Value")
Function = Callable[[Mapping[str, Any]], Value]
Row = tuple[float, ...]
Prepared = tuple[dict[str, Any], tuple[Row, Row, Row, dict[str, float]]]


class Settings:
    """Checked values, schedules among them. Another value makes another Settings, so that a step
    that is being prepared goes on with those it began with.
    """

    def __init__(self, opt: Optimizer, values: dict[str, Any]) -> None:
        self.values = values
        self.plan = opt.plan(values)
        self._schedules = [
            (name, declared.at, values[name])
            for name, declared in opt.hyperparameters.items()
            if declared.varies(values[name])
        ]
        self.scheduled = {name for name, _, _ in self._schedules}
        own = partial(opt.coefficients, self.plan.rule)
        self._functions = (limits, opt.penalties, average, own)
        self._parts: tuple[Function[Any], ...] | None = None
        self._now = dict(values)
        self.fixed: Prepared | None = None
        if not self.scheduled:
            self.fixed = self.prepared(0)

    def at(self, step: int) -> dict[str, Any]:
        """The hyperparameters for the step after `step` completed ones."""
        now = self._now
        for name, at, schedule in self._schedules:
            now[name] = at(schedule, step)
        return now

    def prepared(self, step: int) -> Prepared:
        """What :meth:`at` gives, and the parts of a row that depend on nothing else.

        Without schedules that is :attr:`fixed`.
        """
        h = self.at(step)
        if self._parts is None:
            self._parts = tuple(settled(f, h, self.scheduled) for f in self._functions)
        of_limits, of_penalties, of_average, of_rule = self._parts
        return h, (of_limits(h), of_penalties(h), of_average(h), of_rule(h))


def settled(
    function: Function[Value], h: Mapping[str, Any], scheduled: set[str]
) -> Function[Value]:
    """`function` itself, or one that gives its value for `h` if it reads nothing `scheduled`."""
    reads = Reads(h)
    value = function(reads)
    return (lambda _: value) if reads.names.isdisjoint(scheduled) else function


class Reads(Mapping[str, Any]):
    """A mapping that remembers which of its entries were read."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self.names.add(name)
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)
