"""A parameter group: some parameters and the hyperparameters they are updated with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from typing import Any

from numpy.typing import NDArray

from gradstep.method.method import Method
from gradstep.method.rows import Plan
from gradstep.optimizer.settings import Settings
from gradstep.optimizer.storage import check_storage


class Chosen:
    """The settings of all groups of an optimizer, in one reference: they change together, and what
    has taken it goes on with what it took.
    """

    def __init__(self, *settings: Settings) -> None:
        self.settings = settings


class Group(MutableMapping[str, Any]):
    """Hyperparameters by name, checked when set. ``group["params"]`` names the parameters.

    >>> import numpy as np, gradstep as gs
    >>> weights, biases = {"W": np.zeros(3)}, {"b": np.zeros(1)}
    >>> opt = gs.SGD([{"params": weights}, {"params": biases, "lr": 0.2}], lr=0.1)
    >>> opt.groups[1]["lr"], opt.groups[1]["params"]
    (0.2, ('b',))
    """

    # Not a dict, so that ``group.lr = 0.1`` is an error and not an attribute that nobody reads.
    __slots__ = ("_chosen", "_declared", "_method", "_params", "_place", "constructed", "names")

    def __init__(
        self,
        method: Method,
        params: Mapping[str, NDArray[Any]],
        chosen: Chosen,
        place: int,
        constructed: Mapping[str, Any] | None = None,
    ) -> None:
        self._method = method
        self._declared = method.hyperparameters
        self._params = params
        self.names = tuple(params)
        self._chosen = chosen
        self._place = place
        self.constructed = dict(constructed or {})  # with which numbers

    @property
    def settings(self) -> Settings:
        return self._chosen.settings[self._place]

    @property
    def plan(self) -> Plan:
        return self.settings.plan

    def plan_of(self, values: dict[str, Any]) -> Plan:
        """What `values` would ask for; a ValueError where they do not go together."""
        plan = self._method.plan(values)
        if plan != self.plan:
            self.check_storage(plan)
        return plan

    def check_storage(self, plan: Plan) -> None:
        """Raise a ValueError where the parameters cannot be stored as `plan` has it."""
        for name, param in self._params.items():
            check_storage(name, param, plan)
            self._method.check_param(name, param.shape, plan)

    def checked(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        """All values as they would be with `changes`, each of which is legal by itself."""
        for name in changes:
            if name not in self._declared:
                raise KeyError(
                    f"{name!r} is not a hyperparameter; these are: {', '.join(self._declared)}"
                )
        checked = {name: self._declared[name].check(value) for name, value in changes.items()}
        return {**self.settings.values, **checked}

    def changed(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        """All values as they would be with `changes`; an error where those are not legal."""
        values = self.checked(changes)
        self.plan_of(values)
        return values

    def at(self, step: int) -> dict[str, Any]:
        """The hyperparameters for the step after `step` completed ones, schedules evaluated.

        Good until the next call.
        """
        return self.settings.at(step)

    def evaluated(self, values: Mapping[str, Any], step: int) -> dict[str, Any]:
        """What `values`, which :meth:`changed` gave, are for the step after `step`."""
        evaluated = dict(values)
        for name, value in values.items():
            if self._declared[name].varies(value):
                evaluated[name] = self._declared[name].at(value, step)
        return evaluated

    def numbers(self) -> dict[str, Any]:
        """The hyperparameters that are not schedules."""
        return self.settings.numbers()

    def __getitem__(self, name: str) -> Any:
        return self.names if name == "params" else self.settings.values[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self.update({name: value})

    def update(self, *args: Any, **changes: Any) -> None:
        """Set several hyperparameters at once: all of them, or none if one is not legal."""
        mine = Settings(self._method, self.changed(dict(*args, **changes)))
        chosen, place = self._chosen, self._place
        # No call between reading and setting: nobody else's change is lost.
        chosen.settings = (*chosen.settings[:place], mine, *chosen.settings[place + 1 :])

    @staticmethod
    def update_all(groups: Sequence[Group], name: str, value: Any) -> None:
        """Set a hyperparameter of all groups of an optimizer, or of none."""
        method, chosen = groups[0]._method, groups[0]._chosen
        chosen.settings = tuple(Settings(method, g.changed({name: value})) for g in groups)

    def __delitem__(self, name: str) -> None:
        raise TypeError(f"a group's hyperparameters cannot be deleted; set {name!r} instead")

    def __iter__(self) -> Iterator[str]:
        return iter(("params", *self.settings.values))

    def __len__(self) -> int:
        return len(self.settings.values) + 1

    def __repr__(self) -> str:
        return f"Group({', '.join(f'{name}={value!r}' for name, value in self.items())})"
