"""Lookahead: k steps forward, one step back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from gradstep.around.base import Around
from gradstep.around.slow import SlowWeights, check_alpha, check_k, check_steps_from_params
from gradstep.arrays.loans import lent
from gradstep.optimizer import state_dict as states
from gradstep.optimizer.averages import exchanged
from gradstep.optimizer.step_info import StepInfo
from gradstep.optimizer.turn import STEP
from gradstep.values import check_entries, check_flag


class Lookahead(Around):
    """Slow weights, which follow the parameters of any optimizer every `k` steps, and lead them.

    ::

        k steps of the optimizer within on p;   s ← s + α·(p − s);   p ← s

    Parameters
    ----------
    opt : Optimizer
        The optimizer within. Its attributes are those of the whole: ``opt.lr``, ``opt.groups``,
        ``opt.params``, ``opt.add_group``.
    k : int ≥ 1
        Steps between. Those that are skipped do not count. Default 5.
    alpha : float in [0, 1]
        How far the slow weights go. Default 0.5.

    Notes
    -----
    State: that of the optimizer within, and ``slow``, which begins at the parameters and is float32
    or, of float64 parameters, float64. Parameters in half precision are rounded from it as the
    optimizer's ``rounding`` has it, and so are ``copies``. Momentum is left as it is. An average
    (``ema_decay``) is one of the fast weights.

    Every k-th step has one more pass, which reads and writes p and s.

    Zhang et al. 2019, "Lookahead Optimizer: k steps forward, 1 step back", arXiv:1907.08610,
    Algorithm 1.

    Examples
    --------
    >>> import numpy as np, gradstep as gs
    >>> w = np.array([1.0])
    >>> opt = gs.Lookahead(gs.SGD(w, lr=0.1), k=2, alpha=0.5)
    >>> for _ in range(2):
    ...     info = opt.step(np.array([1.0]))
    >>> w, opt.slow["0"], opt.steps
    (array([0.9]), array([0.9]), 2)
    """

    def __init__(self, opt: Any, k: int = 5, alpha: float = 0.5) -> None:
        super().__init__(opt)
        within: Any = opt
        while isinstance(within, Around):
            if isinstance(within, Lookahead):
                raise TypeError("opt must not be a Lookahead already, nor have one within")
            within = within.optimizer
        check_steps_from_params(within.method, type(within).__name__)
        self._slow = SlowWeights(self._innermost, k, alpha)

    @property
    def slow(self) -> SlowWeights:
        """The live slow weights, by the parameters' names."""
        return self._slow

    @property
    def k(self) -> int:
        """Steps between; another number counts from the last time on."""
        return self._slow.k

    @k.setter
    def k(self, value: int) -> None:
        self._slow.k = check_k(value)

    @property
    def alpha(self) -> float:
        """How far the slow weights go."""
        return self._slow.alpha

    @alpha.setter
    def alpha(self, value: float) -> None:
        self._slow.alpha = check_alpha(value)

    def step(self, grads: Any, **options: Any) -> StepInfo:
        """A step of the optimizer within, with its options; after every k-th slow and fast meet.

        Raises what that raises. Nothing has been changed then.
        """
        return self._turn.during("step()", self._step, grads, options)

    def _step(self, grads: Any, options: dict[str, Any]) -> StepInfo:
        slow = self._slow
        slow.settle()  # what interrupts have left
        slow.add_new()
        slow.check_next()
        try:
            try:
                info: StepInfo = self.optimizer.step(grads, **options)
            finally:
                slow.settle()
        except BaseException:
            slow.settle()  # it was interrupted above
            raise
        return info

    def add_group(self, group: Mapping[str, Any]) -> None:
        """As the optimizer's; the slow weights begin at the new parameters."""
        self.optimizer.add_group(group)
        self._slow.add_new()

    @contextmanager
    def swap_slow_weights(self) -> Iterator[None]:
        """Within ``with opt.swap_slow_weights():`` the parameters hold the slow weights.

        Afterwards they are what they were, to the bit; copies follow them. No step is taken
        meanwhile. ``opt.slow`` holds the fast weights then, but for those in half precision.

        Raises
        ------
        RuntimeError
            If the optimizer is busy; they cannot be swapped in twice.
        ValueError
            If a parameter is not what it was, or is not writeable any more. Nothing has been
            changed then.
        """
        mine: list[None] = []
        turn = self._innermost._turn
        give = turn.give
        try:
            turn.take_for("swap_slow_weights()", mine)
            self._slow.add_new()
            pairs = self._slow.pairs()
            with lent("swap_slow_weights()", (param for param, _ in pairs)):
                yield from exchanged(pairs)
        finally:
            if mine:
                turn.now = STEP
                give(None)

    def state_dict(self) -> dict[str, Any]:
        """Everything that a step depends on, copied: that of the optimizer within, and ours."""
        return self._turn.during("state_dict()", self._state)

    def _state(self) -> dict[str, Any]:
        parts = {"optimizer": self.optimizer, "lookahead": self._slow}
        return {name: part.state_dict() for name, part in parts.items()}

    def load_state_dict(self, state_dict: Mapping[str, Any], *, convert: bool = False) -> None:
        """Continue, bit for bit, where :meth:`state_dict` was taken; `convert` as the optimizer's.

        Raises
        ------
        TypeError, ValueError
            If it is no such state. Nothing has been changed then.
        """
        check_flag("convert", convert)
        entries = check_entries(state_dict, "optimizer", "lookahead")
        within = self._innermost
        within._turn.during("load_state_dict()", self._load, within._layout, entries, convert)

    def _load(self, layout: Any, entries: dict[str, Any], convert: bool) -> None:
        checked = states.check(layout, entries["optimizer"], convert=convert)
        changes = self._slow.changes(entries["lookahead"])
        checked.check_schedules()
        self._slow.check()  # schedules may have changed them
        checked.take_over(changes)

    def __repr__(self) -> str:
        return f"Lookahead({self.optimizer!r}, k={self.k}, alpha={self.alpha})"
