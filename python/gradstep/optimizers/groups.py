"""A parameter group: some parameters and the hyperparameters they are updated with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

from gradstep.optimizers.rows import Plan
from gradstep.params import Node

if TYPE_CHECKING:
    from gradstep.optimizers.base import Optimizer

Prepared = tuple[dict[str, Any], tuple[float, ...], dict[str, float]]


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
        self._scheduled = [d for name, d in self._declared.items() if d.varies(values[name])]
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
        """The hyperparameters for the step after `step` completed ones, schedules evaluated."""
        if not self._scheduled:
            return self.values_now
        now = dict(self.values_now)
        for declared in self._scheduled:
            now[declared.name] = declared.at(now[declared.name], step)
        return now

    def evaluated(self, values: Mapping[str, Any], step: int) -> dict[str, Any]:
        """What `values`, which :meth:`changed` gave, are for the step after `step`."""
        return {name: self._declared[name].at(value, step) for name, value in values.items()}

    def numbers(self) -> dict[str, Any]:
        """The hyperparameters that are not schedules."""
        scheduled = {declared.name for declared in self._scheduled}
        return {name: value for name, value in self.values_now.items() if name not in scheduled}

    def prepared(self, step: int) -> Prepared:
        """What :meth:`at` gives, and the coefficients that depend on nothing else."""
        return self._fixed or self._prepare(self.at(step))

    def _prepare(self, h: dict[str, Any]) -> Prepared:
        return h, self._opt.shared_row(h), self._opt.coefficients(self.plan.rule, h)

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
