"""Hyperparameters as groups of PyTorch have them: plain dicts that anybody may change."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch

from gradstep.method.hyperparameters import Choice, Flag, Number, Numbers
from gradstep.method.method import Method
from gradstep.optimizer.settings import Settings, settings_of

Group = dict[str, Any]


class Live:
    """A number that is read from its group at every step, as a schedule is."""

    def __init__(self, group: Group, name: str, place: int | None = None) -> None:
        self._group, self._name, self._place = group, name, place

    def __call__(self, step: int) -> Any:
        value = self._group[self._name]
        if self._place is not None:
            value = value[self._place]
        return value.item() if isinstance(value, torch.Tensor) else value


class Followed:
    """A group's settings, and the values in the group that they were made of."""

    def __init__(self, method: Method, group: Group, narrow: bool) -> None:
        self.method, self.group, self.narrow = method, group, narrow
        self.params = list(group["params"])
        self._live: set[str] = {
            name for name, value in group.items() if any(map(is_tensor, parts_of(value)))
        }
        self.settings, self._seen = self._made(self._live)

    def varies(self, names: Collection[str]) -> bool:
        """Whether one of these has been another number since."""
        return not self._live.isdisjoint(names)

    def follow(self) -> bool:
        """Take over what has changed in the group; False where that asks for other state."""
        group, params = self.group, self.params
        now = group["params"]
        if len(now) != len(params) or any(a is not b for a, b in zip(now, params, strict=True)):
            return False
        changed = {n for n, value in self._seen.items() if differs(group.get(n, value), value)}
        if any(is_zero(group.get(n)) != is_zero(self._seen[n]) for n in changed):
            return False  # momentum, say, with which another rule goes
        varying = {n for n in changed if can_vary(self.method.hyperparameters[n], group[n])}
        if changed <= varying & self._live:
            self._seen |= {name: frozen(group[name]) for name in changed}
            return True
        live = self._live - changed | varying
        made, seen = self._made(live)
        if made.plan != self.settings.plan:
            return False
        self.settings, self._seen, self._live = made, seen, live
        return True

    def _made(self, live: set[str]) -> tuple[Settings, dict[str, Any]]:
        """Settings as the group has them, and what that is."""
        declared = self.method.hyperparameters
        seen = {name: self.group.get(name, declared[name].default) for name in declared}
        values = dict(seen)
        for name, value in seen.items():
            if name in live:
                values[name] = self._reading(name, value)
            elif isinstance(declared[name], Flag):
                values[name] = bool(value)
            elif isinstance(declared[name], Numbers) and isinstance(value, list):
                values[name] = tuple(value)
        if values["state_dtype"] is None and self.narrow:
            values["state_dtype"] = "param"
        frozen_ones = {name: frozen(value) for name, value in seen.items()}
        return settings_of(self.method, values), frozen_ones

    def _reading(self, name: str, value: Any) -> Any:
        """Schedules in the place of numbers."""
        if not isinstance(value, (tuple, list)):
            return value if callable(value) else Live(self.group, name)
        return tuple(
            part if callable(part) else Live(self.group, name, i) for i, part in enumerate(value)
        )


def is_zero(value: Any) -> bool:
    return isinstance(value, (int, float)) and value == 0


def frozen(value: Any) -> Any:
    """A list as it is now."""
    return tuple(value) if isinstance(value, list) else value


def differs(now: Any, seen: Any) -> bool:
    """Whether it is another object, or a list that holds others."""
    if isinstance(now, list):
        return [*map(id, now)] != [*map(id, parts_of(seen))]
    return now is not seen


def parts_of(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


def is_tensor(value: Any) -> bool:
    return isinstance(value, torch.Tensor)


def can_vary(declared: Any, value: Any) -> bool:
    """Whether a value is a number that may be another one in the next step."""
    if isinstance(declared, (Flag, Choice)) or not isinstance(declared, (Number, Numbers)):
        return False
    return all(part is not None and not callable(part) for part in parts_of(value))
