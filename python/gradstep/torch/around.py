"""What wrappers around optimizers over tensors share: they are torch.optim.Optimizers themselves,
whose groups and state are those of the optimizer within."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from gradstep.around.base import without_closures
from gradstep.optimizer.turn import Turn
from gradstep.reference import RULES
from gradstep.torch.lists_step import Call
from gradstep.torch.sharding import is_of_flat_param
from gradstep.torch.tensors import check_tensor
from gradstep.values import shown

Array = NDArray[Any]


class Around(torch.optim.Optimizer):
    """An optimizer with another around it.

    Schedulers, hooks and ``torch.amp.GradScaler`` take it as they take the optimizer within, whose
    ``param_groups``, ``state`` and ``defaults`` it has, and all other attributes.
    """

    optimizer: Any
    _turn: Turn
    # GradScaler would leave its scale here, and not where the step is taken.
    _step_supports_amp_scaling = False

    def __init__(self, opt: Any) -> None:
        kind = type(self).__name__
        if not isinstance(opt, torch.optim.Optimizer):
            raise TypeError(
                f"opt must be a torch.optim.Optimizer, got {shown(opt)}; make it first: "
                f"{kind}(AdamW(model.parameters())). Those over NumPy arrays go into gs.{kind}"
            )
        if isinstance(opt, torch.optim.LBFGS):
            raise TypeError(without_closures(kind, "an LBFGS"))
        self.__dict__["optimizer"] = opt
        self._check(self._params())
        self.__setstate__({})

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        groups: list[dict[str, Any]] = self.optimizer.param_groups
        return groups

    @param_groups.setter
    def param_groups(self, groups: list[dict[str, Any]]) -> None:
        self.optimizer.param_groups = groups

    @property
    def state(self) -> Any:
        return self.optimizer.state

    @state.setter
    def state(self, state: Any) -> None:
        self.optimizer.state = state

    @property
    def defaults(self) -> dict[str, Any]:
        defaults: dict[str, Any] = self.optimizer.defaults
        return defaults

    @defaults.setter
    def defaults(self, defaults: dict[str, Any]) -> None:
        self.optimizer.defaults = defaults

    def __getattr__(self, name: str) -> Any:
        own = self.__dict__
        if name.startswith("__") or "optimizer" not in own:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(own["optimizer"], name)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in NOT_COPIED}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _turn=Turn())
        super().__setstate__({})

    def zero_grad(self, set_to_none: bool = True) -> None:
        """As the optimizer's within."""
        self.optimizer.zero_grad(set_to_none)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """As the optimizer's within; an error changes nothing."""
        groups = self.param_groups
        count = len(groups)
        try:
            self.optimizer.add_param_group(param_group)
            self._check(groups[-1]["params"])
        except BaseException:
            del groups[count:]
            raise

    def state_dict(self) -> dict[str, Any]:
        """That of the optimizer within."""
        state: dict[str, Any] = self.optimizer.state_dict()
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue where :meth:`state_dict` was taken."""
        self.optimizer.load_state_dict(state_dict)

    @property
    def _innermost(self) -> Any:
        opt = self.optimizer
        while isinstance(opt, Around):
            opt = opt.optimizer
        return opt

    def _params(self) -> list[Tensor]:
        return [param for group in self.param_groups for param in group["params"]]

    def _check(self, params: Sequence[Any]) -> None:
        """Raise an error where one cannot be written in place."""
        self._check_whole()
        for i, param in enumerate(params):
            check_tensor(f"parameter {i}", param)
            if is_of_flat_param(param):
                raise TypeError(
                    f"parameter {i} is a part that FullyShardedDataParallel has cut, whose memory "
                    f"comes and goes; a {type(self).__name__} goes around whole parameters"
                )

    def _check_whole(self) -> None:
        if getattr(self.optimizer, "_in_backward", None) is not None:
            raise RuntimeError(
                "step_in_backward takes the steps of an optimizer one by one, and a "
                f"{type(self).__name__} needs them whole; leave it out"
            )

    def _copies_of(self, params: Sequence[Tensor]) -> list[Tensor | None]:
        """The copies in half precision that gradstep's optimizers keep."""
        copies: dict[Tensor, Tensor] = getattr(self.optimizer, "_copies", {})
        return [copies.get(param) for param in params]


NOT_COPIED = (
    "_turn", "_meeting", "step", "_optimizer_step_pre_hooks", "_optimizer_step_post_hooks",
    "_optimizer_state_dict_pre_hooks", "_optimizer_state_dict_post_hooks",
    "_optimizer_load_state_dict_pre_hooks", "_optimizer_load_state_dict_post_hooks",
)  # fmt: skip


def take(
    rule: str,
    params: Sequence[Any],
    grads: Sequence[Any],
    slots: dict[str, list[Any]],
    copies: Sequence[Any],
    rows: list[Any],
    row_of: list[int],
    done: Any = bool,
    kept: Sequence[list[Array]] = (),
    keep: Any = bool,
) -> Sequence[float]:
    """A step of a rule over tensors; what it concludes of all. `done` is called with it, in C code
    if it is C code. What it overwrites is first kept, in `kept` or by the function `keep`."""
    if not params:
        done()
        return [0.0] * len(RULES[rule].whole.scalars)
    numbers = list(range(len(params)))
    call = Call(
        rule, list(params), list(grads), slots, list(copies), rows, row_of, numbers, 1.0, []
    )
    call.count, call.kept, call.keep = done, list(kept), keep
    return call.taken()
