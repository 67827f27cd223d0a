"""A group's hyperparameters at one time, and the coefficients that follow from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from gradstep.method.method import Method
from gradstep.method.rows import average, limits
from gradstep.schedules.base import function_of

Function = Callable[[Mapping[str, Any]], Any]
Prepared = tuple[dict[str, Any], tuple[Any, ...]]


class Settings:
    """Checked values, schedules among them. Another value makes another Settings, so that a step
    that is being prepared goes on with those it began with.
    """

    def __init__(self, method: Method, values: dict[str, Any]) -> None:
        self.values = values
        self.plan = method.plan(values)
        self.rule = self.plan.rule
        self._schedules = [
            (name, declared.at, functions_of(values[name]))
            for name, declared in method.hyperparameters.items()
            if declared.varies(values[name])
        ]
        self.scheduled = {name for name, _, _ in self._schedules}
        own = partial(method.coefficients, self.rule)
        self._functions: tuple[Function, ...] = (
            limits,
            method.penalties,
            average,
            lambda h: dict(own(h)),
        )
        self._parts: list[Any] = []  # what the functions gave
        self._varying: list[tuple[int, Function]] = []  # those that schedules change
        self._now = dict(values)
        self.fixed: Prepared | None = None
        if not self.scheduled:
            self.fixed = self.prepared(0)

    def numbers(self) -> dict[str, Any]:
        """Those that are not schedules."""
        return {name: v for name, v in self.values.items() if name not in self.scheduled}

    @property
    def last(self) -> Mapping[str, Any]:
        """The hyperparameters that :meth:`prepared` gave last."""
        return self._now if self.fixed is None else self.fixed[0]

    def at(self, step: int) -> dict[str, Any]:
        """The hyperparameters for the step after `step` completed ones."""
        return (self.fixed or self.prepared(step))[0]

    def prepared(self, step: int) -> Prepared:
        """What :meth:`at` gives, and the parts of a row that depend on nothing else.

        Without schedules that is :attr:`fixed`.
        """
        h = self._now
        for name, at, schedule in self._schedules:
            h[name] = at(schedule, step)
        if not self._parts:
            self._begin(h)
        parts = self._parts
        for place, function in self._varying:
            parts[place] = function(h)
        return h, tuple(parts)

    def _begin(self, h: Mapping[str, Any]) -> None:
        """Find out which parts vary: those that read a hyperparameter with a schedule."""
        parts, varying = [], []
        for place, function in enumerate(self._functions):
            reads = Reads(h)
            parts.append(function(reads))
            if not reads.names.isdisjoint(self.scheduled):
                varying.append((place, function))
        self._parts, self._varying = parts, varying


def functions_of(value: Any) -> Any:
    """Schedules as functions of single steps, one or several."""
    return tuple(map(function_of, value)) if isinstance(value, tuple) else function_of(value)


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


def settings_of(method: Method, values: Mapping[str, Any]) -> Settings:
    """Settings of values as users gave them; an error where one is not legal."""
    declared = method.hyperparameters
    return Settings(method, {name: declared[name].check(value) for name, value in values.items()})
