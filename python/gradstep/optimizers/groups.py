"""A parameter group: some parameters and the hyperparameters they are updated with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from functools import partial
from typing import TYPE_CHECKING, Any

from gradstep.optimizers.rows import Plan, average, limits
from gradstep.optimizers.settled import settled
from gradstep.params import Node

if TYPE_CHECKING:
    from gradstep.optimizers.base import Optimizer

Row = tuple[float, ...]
Prepared = tuple[dict[str, Any], tuple[Row, Row, Row, dict[str, float]]]


class Group(MutableMapping[str, Any]):
    """Hyperparameters by name, checked when set. ``group["params"]`` names the parameters.

    >>> import numpy as np, gradstep as gs
    >>> weights, biases = {"W": np.zeros(3)}, {"b": np.zeros(1)}
    >>> opt = gs.SGD([{"params": weights}, {"params": biases, "lr": 0.2}], lr=0.1)
    >>> opt.groups[1]["lr"], opt.groups[1]["params"]
    (0.2, ('b',))
    """

    def __init__(
        self,
        opt: Optimizer,
        values: Mapping[str, Any],
        names: tuple[str, ...],
        structure: Node,
        on_new_plan: Callable[[], None],
    ) -> None:
        self._opt = opt
        self._declared = declared = opt.hyperparameters
        self.names = names
        self.structure = structure
        self._on_new_plan = on_new_plan
        checked = {name: declared[name].check(value) for name, value in values.items()}
        self.plan = opt.plan(checked)
        self._set(checked)

    def _set(self, values: dict[str, Any]) -> None:
        self.values_now = values
        self._scheduled = [
            (name, declared.at, values[name])
            for name, declared in self._declared.items()
            if declared.varies(values[name])
        ]
        self._now = dict(values)
        self._parts: list[Callable[[Mapping[str, Any]], Any]] | None = None
        self._fixed = None if self._scheduled else self._prepare(values)

    def plan_of(self, values: dict[str, Any]) -> Plan:
        """What `values` would ask for; a ValueError where they do not go together."""
        return self._opt.plan(values)

    def changed(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        """All values as they would be with `changes`; an error where those are not legal."""
        for name in changes:
            if name not in self._declared:
                raise KeyError(
                    f"{name!r} is not a hyperparameter; these are: {', '.join(self._declared)}"
                )
        checked = {name: self._declared[name].check(value) for name, value in changes.items()}
        values = {**self.values_now, **checked}
        self.plan_of(values)
        return values

    def at(self, step: int) -> dict[str, Any]:
        """The hyperparameters for the step after `step` completed ones, schedules evaluated.

        Good until the next call.
        """
        now = self._now
        for name, at, schedule in self._scheduled:
            now[name] = at(schedule, step)
        return now

    def evaluated(self, values: Mapping[str, Any], step: int) -> dict[str, Any]:
        """What `values`, which :meth:`changed` gave, are for the step after `step`."""
        return {name: self._declared[name].at(value, step) for name, value in values.items()}

    def numbers(self) -> dict[str, Any]:
        """The hyperparameters that are not schedules."""
        scheduled = {name for name, _, _ in self._scheduled}
        return {name: value for name, value in self.values_now.items() if name not in scheduled}

    def prepared(self, step: int) -> Prepared:
        """What :meth:`at` gives, and the coefficients that depend on nothing else."""
        return self._fixed or self._prepare(self.at(step))

    def _prepare(self, h: dict[str, Any]) -> Prepared:
        if self._parts is None:
            scheduled = {name for name, _, _ in self._scheduled}
            own = partial(self._opt.coefficients, self.plan.rule)
            functions = (limits, self._opt.penalties, average, own)
            self._parts = [settled(function, h, scheduled) for function in functions]
        of_limits, of_penalties, of_average, of_rule = self._parts
        return h, (of_limits(h), of_penalties(h), of_average(h), of_rule(h))

    def __getitem__(self, name: str) -> Any:
        return self.names if name == "params" else self.values_now[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self.update({name: value})

    def update(self, *args: Any, **changes: Any) -> None:
        """Set several hyperparameters at once: all of them, or none if one is not legal."""
        values = self.changed(dict(*args, **changes))
        before, self.plan = self.plan, self.plan_of(values)
        self._set(values)
        if self.plan != before:
            self._on_new_plan()

    def __delitem__(self, name: str) -> None:
        raise TypeError(f"a group's hyperparameters cannot be deleted; set {name!r} instead")

    def __iter__(self) -> Iterator[str]:
        return iter(("params", *self.values_now))

    def __len__(self) -> int:
        return len(self.values_now) + 1

    def __repr__(self) -> str:
        return f"Group({', '.join(f'{name}={value!r}' for name, value in self.items())})"
