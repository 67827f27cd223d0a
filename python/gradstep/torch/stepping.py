"""One step of an optimizer over tensors."""

from __future__ import annotations

import math
from typing import Any

import torch

from gradstep.optimizer.step_info import DONE, StepInfo
from gradstep.torch.holding import Holding
from gradstep.torch.sharding import left_of_all
from gradstep.torch.watch import Moved, Watch

SKIPPED = StepInfo(None, True)


def take(holding: Holding, scaler: dict[str, Any]) -> StepInfo:
    """Take it, with what torch.amp.GradScaler has left as attributes.

    Raises Moved where tensors are not what they were. Nothing has been changed then.
    """
    scale = 1.0
    if "found_inf" in scaler or "grad_scale" in scaler:
        if scaler.get("found_inf"):
            return SKIPPED
        if scaler.get("grad_scale") is not None:
            scale = 1.0 / check_positive("grad_scale", float(scaler["grad_scale"]))
    if holding.left_aside and any(param.grad is not None for param in holding.left_aside):
        raise Moved
    new = holding.without_state() if holding.pending else []
    with_norm, skip = holding.needs_norm, holding.skips_nonfinite
    spread, leaves, norm_of_all = holding.spread, None, None
    try:
        if new:
            holding.show(new)
        watch = holding.watch
        holding.under_way = rows = holding.rows()
        if spread.distributed:
            if not holding.unchanged():  # which it must know before others wait for its gradients
                raise Moved
            leaves = spread.gradients()
            if with_norm and spread.in_parts:
                norm_of_all = spread.norm(holding.names, leaves) * scale
                if skip and not math.isfinite(norm_of_all):
                    return StepInfo(norm_of_all, True)
                now = [settings.at(holding.steps) for settings in holding.settings]
                scale *= left_of_all(norm_of_all, now)
                with_norm = skip = False
        if type(watch) is Watch:
            taken = in_python(holding, leaves, rows, scale, with_norm, skip)
        else:
            taken = holding.table.step_tensors(
                watch, leaves, rows, scale, with_norm, skip, torch.get_num_threads()
            )
        norm, skipped, absent = taken
    except BaseException:
        # An interrupt waits for the kernels: the step may have been taken by now.
        if not holding.catch_up() and new:
            holding.hide(new)
        raise
    if not skipped:
        holding.took(absent)
    elif new:
        holding.hide(new)
    norm = norm_of_all if norm is None else norm
    return DONE if norm is None else StepInfo(norm, skipped)


def check_positive(name: str, value: float) -> float:
    if not 0.0 < value < math.inf:
        raise ValueError(f"{name} must be a finite number > 0, got {value!r}")
    return value


def in_python(
    holding: Holding, leaves: Any, rows: Any, scale: float, with_norm: bool, skip: bool
) -> tuple[float | None, bool, tuple[int, ...]]:
    """What ``ParamTable.step_tensors`` does, where the compiled kernels cannot read tensors."""
    watch, reader = holding.watch, holding.reader
    given = watch.gradients() if leaves is None else leaves
    watch.check()
    grads = [None if g is None else reader(i, g) for i, g in enumerate(given)]
    watch.check()
    present = [i for i, grad in enumerate(grads) if grad is not None]
    watch.announce(present)
    try:
        taken: tuple[float | None, bool, tuple[int, ...]] = holding.table.step(
            grads, rows, scale, with_norm, skip
        )
    finally:
        if holding.table.last_step[0] is rows:
            watch.count(present)
    return taken
