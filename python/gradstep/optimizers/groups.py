"""A parameter group: some parameters and the hyperparameters they are updated with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any

from gradstep.optimizers.hyper import Hyperparameter
from gradstep.optimizers.rows import Plan
from gradstep.params import Node


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
        declared: Mapping[str, Hyperparameter],
        values: Mapping[str, Any],
        names: tuple[str, ...],
        structure: Node,
        plan: Callable[[dict[str, Any]], Plan],
        shared_row: Callable[[Mapping[str, Any]], tuple[float, ...]],
        on_new_plan: Callable[[], None],
    ) -> None:
        self._declared = declared
        self.names = names
        self.structure = structure
        self.plan_of = plan
        self._shared_row = shared_row
        self._on_new_plan = on_new_plan
        checked = {name: declared[name].check(value) for name, value in values.items()}
        self.plan = plan(checked)
        self._set(checked)

    def _set(self, values: dict[str, Any]) -> None:
        self.values_now = values
        self._scheduled = [d for name, d in self._declared.items() if d.varies(values[name])]
        self._row = () if self._scheduled else self._shared_row(values)

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

    def row(self, h: Mapping[str, Any]) -> tuple[float, ...]:
        """The shared part of the row for the values `h`, which :meth:`at` gave."""
        return self._row or self._shared_row(h)

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
