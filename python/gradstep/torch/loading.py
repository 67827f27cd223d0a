"""State dicts, pickles and copies of an optimizer over tensors, as torch.optim has them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from copy import deepcopy
from typing import Any, ClassVar

import torch
from torch import Tensor

from gradstep.method.method import Method
from gradstep.optimizer.turn import Turn
from gradstep.torch.construction import varies
from gradstep.torch.holding import Holding
from gradstep.torch.sharding import in_bytes
from gradstep.torch.watch import Moved
from gradstep.values import check_count

Groups = list[dict[str, Any]]

LOOKS = 4  # the second finds all settled
UNSETTLED = (
    "parameters or their state are given other memory while the step looks at them; leave them "
    "alone until it has returned"
)


class Loadable(torch.optim.Optimizer):
    """What an optimizer's state is taken from and made of."""

    method: ClassVar[Method]
    _holding: Holding | None = None
    _steps: int | None = None  # that were completed before there is a holding
    _turn: Turn
    _by_zero: bool
    _in_backward: Any = None  # where each parameter steps in its backward pass
    _copies: dict[Tensor, Tensor]

    @property
    def steps(self) -> int:
        """The number of completed steps: what schedules are functions of."""
        if self._holding is None:
            return self._steps or 0
        self._holding.catch_up()
        return self._holding.steps

    def state_dict(self) -> dict[str, Any]:
        """The state as torch.optim has it; every group has the number of completed ``steps``, too.

        Schedules give their values for the next step, and ``trailing_bits`` are in bytes.

        Raises
        ------
        RuntimeError
            If the optimizer is busy, as within ``swap_averages()``.
        """
        for pre_hook in self._optimizer_state_dict_pre_hooks.values():
            pre_hook(self)
        state_dict = self._turn.during("state_dict()", self._packed)
        for post_hook in self._optimizer_state_dict_post_hooks.values():
            if (result := post_hook(self, state_dict)) is not None:
                state_dict = result
        return state_dict

    def _packed(self) -> dict[str, Any]:
        numbers: dict[Tensor, int] = {}
        for param in (p for group in self.param_groups for p in group["params"]):
            numbers.setdefault(param, len(numbers))
        groups = [
            {name: self._number(value) for name, value in group.items() if name != "params"}
            | {"steps": self.steps, "params": [numbers[p] for p in group["params"]]}
            for group in self.param_groups
        ]
        state = {numbers.get(key, key): storable(entry) for key, entry in self.state.items()}
        return {"state": state, "param_groups": groups}

    def _number(self, value: Any) -> Any:
        """A schedule's value for the next step, and any other value as it is."""
        if isinstance(value, (tuple, list)) and varies(value):
            return tuple(map(self._number, value))
        return value(self.steps) if callable(value) else value

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue where ``state_dict()`` of such an optimizer, or of torch.optim's, was taken.

        Hyperparameters are taken over, except where this optimizer has a schedule. State is brought
        into the formats that this optimizer keeps it in.

        Raises
        ------
        TypeError, ValueError
            If it does not fit these parameters. Nothing has been changed then.
        """
        state_dict = dict(state_dict)
        for pre_hook in self._optimizer_load_state_dict_pre_hooks.values():
            if (result := pre_hook(self, state_dict)) is not None:
                state_dict = result
        if self._in_backward is not None:
            self._in_backward.finish()
        groups = self._loaded_groups(state_dict["param_groups"])
        state = self._loaded_state(state_dict)
        said = [group.pop("steps", None) for group in groups]
        steps = [check_count("steps in a group", n, 0) for n in said if n is not None]
        self._turn.during(
            "load_state_dict()", self._take_over, groups, state, max(steps, default=None)
        )
        for post_hook in self._optimizer_load_state_dict_post_hooks.values():
            post_hook(self)

    def _loaded_groups(self, saved: Groups) -> Groups:
        groups = self.param_groups
        if len(groups) != len(saved):
            raise ValueError("loaded state dict has a different number of parameter groups")
        if any(len(g["params"]) != len(s["params"]) for g, s in zip(groups, saved, strict=True)):
            raise ValueError(
                "loaded state dict contains a parameter group that doesn't match the size of "
                "optimizer's group"
            )
        loaded = []
        for group, theirs in zip(groups, saved, strict=True):
            kept = {n: v for n, v in group.items() if n in ("params", "param_names") or varies(v)}
            if "param_names" in theirs:
                kept.pop("param_names", None)
            ours = {name: group[name] for name in self._our_defaults if name in group}
            numbers = {name: value for name, value in theirs.items() if name != "params"}
            loaded.append({**ours, **deepcopy(numbers), **kept})
        return loaded

    def _loaded_state(self, state_dict: Mapping[str, Any]) -> defaultdict[Any, Any]:
        """Tensors copied, as what is loaded may be another optimizer's own."""
        theirs = [i for group in state_dict["param_groups"] for i in group["params"]]
        ours = [p for group in self.param_groups for p in group["params"]]
        param_of = dict(zip(theirs, ours, strict=True))
        state: defaultdict[Any, Any] = defaultdict(dict)
        for key, entry in state_dict["state"].items():
            state[param_of.get(key, key)] = copied(entry)
        return state

    def _take_over(self, groups: Groups, state: defaultdict[Any, Any], steps: int | None) -> None:
        with_defaults = type(self).__new__(type(self))
        with_defaults.defaults = dict(self.defaults)
        with_defaults.__setstate__({"state": state, "param_groups": groups})
        if steps is None and not any("step" in entry for entry in map(as_dict, state.values())):
            steps = self.steps  # PyTorch's SGD does not say it
        try:
            holding = self._hold(groups, state, None, steps)
        except Moved:
            holding = self._hold(groups, state, None, steps)
        self.__setstate__({"state": state, "param_groups": groups})
        self._holding, self._steps = None, holding.steps
        try:
            holding.publish()
            self._holding = holding
        except Moved:
            self._made_anew()

    def _hold(
        self, groups: Groups, state: Any, before: Holding | None, steps: int | None
    ) -> Holding:
        kind = next(cls.__name__ for cls in type(self).__mro__ if "method" in vars(cls))
        copies, by_zero = self._copies, self._by_zero
        return Holding(kind, self.method, groups, state, copies, before, steps, by_zero)

    def _made_anew(self) -> Holding:
        for _ in range(LOOKS):
            before = self._holding
            if before is not None:
                before.put_back()
            steps = self._steps if before is None else None
            try:
                holding = self._hold(self.param_groups, self.state, before, steps)
                holding.publish()
            except Moved:
                continue
            self._holding = holding
            return holding
        raise RuntimeError(UNSETTLED)

    def __getstate__(self) -> dict[str, Any]:
        own = {"_copies": self._copies, "_steps": self.steps, "_our_defaults": self._our_defaults}
        others = {
            name: value
            for name, value in vars(self).items()
            if not name.startswith("_") and name not in ("grad_scale", "found_inf", "step")
        }
        return {**others, **super().__getstate__(), **own}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "_turn" not in vars(self):
            self._turn = Turn()


def as_dict(entry: Any) -> dict[str, Any]:
    return entry if isinstance(entry, dict) else {}


def copied(value: Any) -> Any:
    """A state's entry in containers of its own."""
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, dict):
        return {key: copied(part) for key, part in value.items()}
    return type(value)(map(copied, value)) if isinstance(value, (list, tuple)) else value


def storable(entry: Any) -> Any:
    """A parameter's state, its bits that are no numbers in bytes, which every backend can send."""
    if not isinstance(entry, dict) or "trailing_bits" not in entry:
        return entry
    return {**entry, "trailing_bits": in_bytes(entry["trailing_bits"])}
