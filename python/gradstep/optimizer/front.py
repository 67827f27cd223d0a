"""What every optimizer does: hold state, line gradients up, evaluate schedules, take the step."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

from numpy.typing import NDArray

from gradstep.method.method import Method
from gradstep.method.options import SHARED_DEFAULTS
from gradstep.optimizer import state_dict as states
from gradstep.optimizer.averages import exchanged, pairs_of
from gradstep.optimizer.description import describe
from gradstep.optimizer.group import Group
from gradstep.optimizer.layout import Layout
from gradstep.optimizer.step_info import DONE, StepInfo
from gradstep.values import check_grad_scale

Array = NDArray[Any]


class Optimizer(Method):
    """The base of all optimizers. Every one of them takes these options, by keyword:

    Parameters
    ----------
    weight_decay : float or schedule, λ ≥ 0
        Coupled, ``g ← g + λ·p`` (L2 regularisation), or, with ``decoupled_weight_decay=True``,
        ``p ← (1 − lr·λ)·p``.
    decoupled_weight_decay : bool
    maximize : bool
        Follow the gradient uphill.
    clip_norm : float > 0, schedule or None
        Where the norm of all gradients together exceeds this, scale them all down to it.
    clip_tensor_norm : float > 0, schedule or None
        Scale each gradient down to this norm.
    clip_adaptive : float > 0, schedule or None
        Adaptive clipping (AGC): scale the gradient of each unit down to this times the norm of the
        unit's parameters, or times ``clip_adaptive_eps`` where that is larger. A unit is a slice
        along the last axis: a column of a ``(fan_in, fan_out)`` weight. Brock et al. 2021,
        arXiv:2102.06171. Of several limits this is the first, then those of tensors, of all
        gradients and of elements.
    clip_adaptive_eps : float or schedule, ≥ 0
    clip_value : float > 0, schedule or None
        Limit every gradient element to ±clip_value.
    skip_nonfinite : bool
        Where the norm of all gradients is not finite, change nothing and report ``skipped``.
    l1 : float or schedule, ≥ 0
        Proximal L1 penalty: after the update p is drawn towards zero by ``lr·l1``, to exact zeros.
    ema_decay : float in [0, 1], schedule or None
        Keep ``opt.ema[name] ← d·ema + (1−d)·p``, starting from the first parameters. With
        ``schedules.debiased_ema``, ``ema_warmup`` or ``equal_average`` (SWA) it soon forgets those.

    All of it happens within the one pass over memory that the step makes anyway. Any of these, and
    any other hyperparameter, can be changed at any time on the optimizer or on one of its groups.
    """

    def __init__(self, params: Any, own: Mapping[str, Any], shared: Mapping[str, Any]) -> None:
        self.refuse_unknown(shared)
        self._lock = threading.Lock()
        self._busy = "another step"
        self._layout = Layout(self, {**SHARED_DEFAULTS, **own, **shared}, params)

    # What users call.

    def step(
        self,
        grads: Any,
        *,
        grad_scale: float = 1.0,
        with_norm: bool = False,
        skip_nonfinite: bool = False,
    ) -> StepInfo:
        """Update all parameters in place.

        Parameters
        ----------
        grads
            Gradients in the structure of the parameters; for groups a list with one entry per
            group, or one flat dict by name. Each is an array of its parameter's shape, or None to
            leave that parameter, its state and its step count as they are. Never written.
        grad_scale : float > 0
            Factor on every gradient: 1/n for a sum of n, 1/S for a loss scaled by S.
        with_norm : bool
            Report ``grad_norm`` even if nothing else needs it, at one more read of the gradients.
        skip_nonfinite : bool
            As the option of that name, for this step.

        Returns
        -------
        StepInfo

        Raises
        ------
        TypeError, ValueError
            If a gradient or a schedule's value is not legal. Nothing has been changed then.
        RuntimeError
            If another step of this optimizer is running.
        """
        if not self._lock.acquire(False):
            raise RuntimeError(f"this optimizer is busy with {self._busy}; step again after it")
        try:
            layout = self._layout
            if grad_scale != 1.0:
                grad_scale = check_grad_scale(grad_scale)
            rows = layout.rows()
            try:
                norm, skipped, absent = layout.table.step(
                    layout.align(grads),
                    rows,
                    grad_scale,
                    with_norm or skip_nonfinite or layout.needs_norm,
                    skip_nonfinite or layout.skips_nonfinite,
                )
            except BaseException:
                # An interrupt waits for the kernels: the step may have been taken by now.
                last, absent = layout.table.last_step
                if last is rows:
                    layout.count_step(absent)
                raise
            if not skipped:
                if absent:
                    layout.count_step(absent)
                else:
                    layout.steps += 1
                    for cohort in layout.cohorts:
                        cohort.count += 1
            return DONE if norm is None else StepInfo(norm, skipped)
        finally:
            self._lock.release()

    @property
    def params(self) -> Mapping[str, Array]:
        """The parameters by name."""
        return MappingProxyType(self._layout.params)

    @property
    def groups(self) -> tuple[Group, ...]:
        """The parameter groups; set a hyperparameter with ``opt.groups[i]["lr"] = 0.1``."""
        return tuple(self._layout.groups)

    @property
    def state(self) -> Mapping[str, Mapping[str, Array]]:
        """The live state arrays: ``opt.state[name][slot]``."""
        state = self._refreshed().state
        return MappingProxyType({name: MappingProxyType(of_one) for name, of_one in state.items()})

    @property
    def ema(self) -> Mapping[str, Array]:
        """The live averages of the parameters in groups with ``ema_decay``."""
        return MappingProxyType(self._refreshed().ema)

    @contextmanager
    def swap_averages(self) -> Iterator[None]:
        """Within ``with opt.swap_averages():`` the parameters hold their averages, for evaluation.

        Afterwards they are what they were, to the bit. Parameters without an average stay as they
        are, and the optimizer takes no step meanwhile.

        Raises
        ------
        RuntimeError
            If there are no averages, or the optimizer is busy; they cannot be swapped in twice.
        ValueError
            If a parameter is not writeable any more. Nothing has been changed then.
        """
        with self._exclusive("swap_averages()"):
            self._layout.refresh()
            with exchanged(pairs_of(self._layout.params, self._layout.ema)):
                yield

    @property
    def steps(self) -> int:
        """The number of completed steps: what schedules are functions of."""
        return self._layout.steps

    def add_group(self, group: Mapping[str, Any]) -> None:
        """Add parameters: ``{"params": ..., "lr": ..., ...}``. Gradients then come per group."""
        with self._exclusive("add_group()"):
            if not isinstance(group, Mapping) or "params" not in group:
                raise TypeError(f'group must be a dict with an entry "params", got {group!r}')
            self._layout.add_group(group)

    def state_dict(self) -> dict[str, Any]:
        """Everything that a step depends on, copied: plain dicts of arrays and numbers.

        Schedules are functions and not in it; the optimizer that loads it has its own.
        """
        with self._exclusive("state_dict()"):
            return states.to_dict(type(self).__name__, self._layout, copied=True)

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue, bit for bit, where :meth:`state_dict` was taken.

        Raises
        ------
        TypeError, ValueError
            If it is not a state of this kind of optimizer over parameters of these names, shapes
            and dtypes. Nothing has been changed then.
        """
        with self._exclusive("load_state_dict()"):
            checked = states.check(type(self).__name__, self._layout, state_dict)
            checked.check_schedules()
            checked.take_over()

    def __repr__(self) -> str:
        return describe(type(self).__name__, self._layout)

    # How it is done.

    def _refreshed(self) -> Layout:
        """In line with the hyperparameters, as a running step has brought it already."""
        layout = self._layout
        if layout.stale and self._lock.acquire(blocking=False):
            try:
                layout.refresh()
            finally:
                self._lock.release()
        return layout

    @contextmanager
    def _exclusive(self, what: str) -> Iterator[None]:
        if not self._lock.acquire(blocking=False):
            raise RuntimeError(f"this optimizer is busy with {self._busy}; call {what} after it")
        self._busy = what
        try:
            yield
        finally:
            self._busy = "another step"
            self._lock.release()
