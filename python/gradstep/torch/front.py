"""PyTorch's front of a method: a torch.optim.Optimizer whose steps are gradstep's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from torch import Tensor

from gradstep import runtime
from gradstep.method.method import Method
from gradstep.optimizer.step_info import DONE, StepInfo
from gradstep.optimizer.turn import STEP
from gradstep.torch.averages import swapped_in
from gradstep.torch.construction import Constructed
from gradstep.torch.holding import Holding
from gradstep.torch.hooks import hooked, is_watched, profiling
from gradstep.torch.loading import LOOKS, UNSETTLED, Loadable
from gradstep.torch.stepping import take
from gradstep.torch.watch import Moved

Closure = Callable[[], Any]


class Optimizer(Constructed, Loadable, torch.optim.Optimizer):
    """Steps parameters in place on the memory of their tensors."""

    method: ClassVar[Method]
    last_info: StepInfo | None = None  # of the last step

    def step(self, closure: Closure | None = None) -> Any:
        """Take one step; what `closure`, which computes the gradients anew, returns.

        Raises
        ------
        TypeError, ValueError
            If a parameter, gradient, hyperparameter or state is not legal. Nothing has been changed
            then.
        RuntimeError
            If another step of this optimizer is running.
        """
        if is_watched(self):
            return hooked(self, self._step, closure)
        return self._step(closure)

    # So that torch.optim does not wrap it: hooks and the profiler's record are honoured above.
    step.hooked = True  # type: ignore[attr-defined]

    def _step(self, closure: Closure | None = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        if self._in_backward is not None:
            self._finish_backward()
            return loss
        turn = self._turn
        give = turn.give
        try:
            turn.take()
        except IndexError:
            raise turn.busy("step again") from None
        except BaseException:
            give(None)
            raise
        try:
            holding = self._in_line()
            try:
                info = take(holding, self.__dict__)
            except Moved:
                info = self._taken_anew()
            self.__dict__["last_info"] = info
        finally:
            give(None)
        return loss

    def _taken_anew(self) -> StepInfo:
        for _ in range(LOOKS):
            holding = self._made_anew()
            try:
                return take(holding, self.__dict__)
            except Moved:
                pass
        raise RuntimeError(UNSETTLED)

    def _finish_backward(self) -> None:
        if vars(self).get("grad_scale") is not None:
            raise RuntimeError(
                "the steps were taken in the backward pass, with gradients that GradScaler had "
                "scaled; use step_in_backward without it, in bfloat16 or float32"
            )
        self._turn.during("step()", self._in_backward.finish)
        self.last_info = DONE

    @property
    def _step_supports_amp_scaling(self) -> bool:
        """Whether torch.amp.GradScaler hands over its scale, for the step to take off: as in
        torch.optim where ``fused=True``, since others clip gradients in between."""
        return bool(self.defaults.get("fused"))

    @_step_supports_amp_scaling.setter
    def _step_supports_amp_scaling(self, supports: bool) -> None:
        """PyTorch's own constructors say so where it is."""

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Let go of all gradients, or fill them with zeros, as torch.optim does."""
        if not set_to_none or profiling():
            super().zero_grad(set_to_none)
            return
        for group in self.param_groups:
            for param in group["params"]:
                param.grad = None

    def current(self, name: str, group: int | None = None) -> Any:
        """What the next step will use for the hyperparameter `name`, as a number.

        `group` is the number of a group, which has to be given where groups differ.
        """
        groups = self.param_groups if group is None else [self.param_groups[group]]
        values = [self._number(each[name]) for each in groups]
        values = [v.item() if isinstance(v, Tensor) else v for v in values]
        if any(value != values[0] for value in values[1:]):
            raise ValueError(
                f"{name} differs between groups: {values}; ask for one: current({name!r}, group=0)"
            )
        return values[0]

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.method.hyperparameters:
            raise AttributeError(
                f"{name} is an option of groups; set it there: "
                f"for group in opt.param_groups: group[{name!r}] = {value!r}"
            )
        super().__setattr__(name, value)

    def _in_line(self) -> Holding:
        """What there is to step, in line with groups, state and backend as they are now."""
        holding = self._holding
        if holding is not None:
            holding.catch_up()
        if holding is not None and holding.table_type is runtime.table_type:
            same_state = holding.group_state is self.state
            same_groups = holding.groups_given is self.param_groups
            if same_state and same_groups and holding.groups_seen.same():
                return holding
            if same_state and holding.follow(self.param_groups):
                return holding
        return self._made_anew()

    @property
    def ema(self) -> Mapping[Tensor, Tensor]:
        """The live averages of parameters in groups with ``ema_decay``, by parameter."""
        return {p: entry["ema"] for p, entry in self.state.items() if "ema" in entry}

    @contextmanager
    def swap_averages(self) -> Iterator[None]:
        """Within ``with opt.swap_averages():`` the parameters hold their averages, for evaluation.

        Afterwards they are what they were, to the bit. The optimizer takes no step meanwhile.

        Raises
        ------
        RuntimeError
            If there are no averages, or the optimizer is busy; at the end, if a parameter was given
            other memory meanwhile.
        """
        mine: list[None] = []
        give = self._turn.give
        try:
            self._turn.take_for("swap_averages()", mine)
            holding = self._in_line()
            if not holding.unchanged():
                holding = self._made_anew()
            with swapped_in(holding):
                yield
        finally:
            if mine:
                self._turn.now = STEP
                give(None)
