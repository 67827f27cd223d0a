"""Gradient release: parameters that step as soon as their gradient is there."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gradstep.reference import RULES
from gradstep.torch.around import Around
from gradstep.torch.front import Optimizer
from gradstep.torch.holding import Holding
from gradstep.torch.watch import Moved, Watch


def step_in_backward(opt: Optimizer) -> StepInBackward:
    """Let each parameter step within the backward pass, and free its gradient at once.

    So at no time all gradients are there: the peak of memory is lower by nearly their size. The
    results are the same to the bit. ``opt.step()`` then only ends the step, so that schedules go
    on; without it a parameter's next gradient begins the next step. Not with
    ``DistributedDataParallel``, which takes the mean of gradients later.

    Parameters
    ----------
    opt : Optimizer
        One of :mod:`gradstep.torch`, without options that need all gradients first (``clip_norm``,
        ``skip_nonfinite``).

    Returns
    -------
    StepInBackward
        Its ``remove()`` brings back the usual order.

    Raises
    ------
    TypeError, ValueError
        If the optimizer is another one, or has such an option; from ``backward()``, too, where one
        is set later.

    Examples
    --------
    >>> import torch
    >>> from gradstep.torch import SGD, step_in_backward
    >>> w = torch.nn.Parameter(torch.ones(2))
    >>> opt = SGD([w], lr=0.25)
    >>> handle = step_in_backward(opt)
    >>> w.sum().backward()
    >>> w.grad is None, w.tolist()
    (True, [0.75, 0.75])
    >>> opt.step()
    """
    if isinstance(opt, (Around, torch.optim.LBFGS)):
        raise TypeError(
            f"opt must be an optimizer whose parameters step one by one, got a "
            f"{type(opt).__name__}, whose steps need all parameters and a closure or slow weights; "
            "call opt.step() without step_in_backward"
        )
    if not isinstance(opt, Optimizer):
        raise TypeError(
            f"opt must be an optimizer of gradstep.torch, got a {type(opt).__name__}; make one "
            "with the class of the same name from there"
        )
    if opt._in_backward is not None:
        raise ValueError(
            "this optimizer steps in the backward pass already; call remove() of what the first "
            "step_in_backward() returned, to do it anew"
        )
    return StepInBackward(opt)


class StepInBackward:
    """The hooks on an optimizer's parameters, and the step that is under way."""

    def __init__(self, opt: Optimizer) -> None:
        self._opt = opt
        self._holding: Holding | None = None  # of the step that is under way
        self._rows: Any = None
        self._steps = 0  # completed ones, when it began
        self._applied: set[int] = set()
        self._shown: list[int] = []  # whose state was published for this step
        self._checked()
        params = [p for group in opt.param_groups for p in group["params"]]
        self._handles = [
            p.register_post_accumulate_grad_hook(self._on_gradient)
            for p in params
            if p.requires_grad
        ]
        opt._in_backward = self

    def remove(self) -> None:
        """End the step that is under way, and step in ``opt.step()`` again."""
        self.finish()
        for handle in self._handles:
            handle.remove()
        self._opt._in_backward = None

    def _checked(self) -> Holding:
        holding = self._opt._in_line()
        if not holding.unchanged():
            holding = self._opt._made_anew()
        for settings in holding.settings:
            if RULES[settings.rule].whole.of_all:
                raise ValueError(
                    f"the steps of {holding.kind} depend on the gradients of all parameters, which "
                    "are not all there within the backward pass; call opt.step() after it without "
                    "step_in_backward"
                )
            for option in ("clip_norm", "clip_tensor_norm", "clip_adaptive", "skip_nonfinite"):
                if settings.values[option] not in (None, False):
                    raise ValueError(
                        f"{option} is decided before anything is written, from gradients that are "
                        "not all there within the backward pass; leave it out, or call opt.step() "
                        "after it without step_in_backward"
                    )
        if holding.directed:
            raise ValueError(
                "directions are computed of all matrices before anything is written; call "
                "opt.step() without step_in_backward"
            )
        if holding.spread.distributed:
            raise ValueError(
                "DTensors get their gradients after the backward pass of their shards; call "
                "opt.step() without step_in_backward"
            )
        return holding

    def _on_gradient(self, param: Tensor) -> None:
        self._opt._turn.during("a step in the backward pass", self._step, param)

    def _step(self, param: Tensor) -> None:
        if param.grad is None:
            raise RuntimeError(
                "the gradient of a parameter is gone: does another optimizer step it in the "
                "backward pass? Call remove() of one of the two"
            )
        if self._holding is not None:
            i = self._holding.place_of(param)
            # Stepped by a backward pass before, which no opt.step() has ended, or not known then.
            if i is None or i in self._applied:
                self._end()
        if self._holding is None:
            self._begin()
        try:
            self._apply(param)
        except Moved:
            self._end()
            self._begin()
            self._apply(param)
        except BaseException:
            if not self._applied:
                self._end()
            raise
        param.grad = None

    def _begin(self) -> None:
        holding = self._checked()
        pending = [i for i in holding.pending if holding.given_params[i].requires_grad]
        self._shown = holding.show(pending)
        self._rows, self._steps, self._applied = holding.rows(), holding.steps, set()
        self._holding = holding
        holding.table.begin(self._rows, 1.0)

    def _apply(self, param: Tensor) -> None:
        holding = self._holding
        assert holding is not None
        i = holding.place_of(param)
        assert i is not None
        if type(holding.watch) is Watch:
            holding.watch.check()
            array = holding.reader(i, param.grad)
            holding.watch.check()
            holding.watch.announce([i])
            holding.table.apply(i, (array,))
            holding.watch.count([i])
        else:
            holding.table.apply(i, (param.grad,), holding.watch, torch.get_num_threads())
        self._applied.add(i)

    def finish(self) -> None:
        """Step what has a gradient all the same, of no backward pass, and end the step."""
        for group in self._opt.param_groups:
            for param in group["params"]:
                if param.grad is not None:
                    self._step(param)
        self._end()

    def _end(self) -> None:
        holding = self._holding
        if holding is None:
            return
        try:
            absent = holding.table.abort()
        except RuntimeError:  # it had been ended, or not begun, when an interrupt came
            last, left_out = holding.table.last_step
            absent = left_out if last is self._rows else range(len(holding.names))
        if len(absent) < len(holding.names) and holding.steps == self._steps:
            holding.took(absent)
        self._holding = None
        if unused := set(self._shown) & set(absent):
            holding.hide(sorted(unused))
