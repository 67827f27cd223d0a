"""Lookahead around optimizers over tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from operator import setitem
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.graph import increment_version

from gradstep.around.slow import check_alpha, check_k, check_steps_from_params
from gradstep.arrays.at_once import at_once, filled
from gradstep.arrays.memory import allocate
from gradstep.optimizer.storage import BESIDE_PARAM
from gradstep.optimizer.turn import STEP
from gradstep.torch.around import Around
from gradstep.torch.front import Optimizer
from gradstep.torch.hooks import hooked, is_watched
from gradstep.torch.meeting import Meeting
from gradstep.torch.restoring import put_back
from gradstep.torch.tensors import array_of, tensor_on
from gradstep.torch.watch import look_at
from gradstep.values import check_count, check_entries

OWN = "lookahead"  # the entry of the state dict that is ours
NO_COPIES: Mapping[Tensor, Tensor] = {}


class Lookahead(Around):
    """Slow weights, which follow the parameters of any optimizer every `k` steps, and lead them.

    ::

        k steps of the optimizer within on p;   s ← s + α·(p − s);   p ← s

    Parameters
    ----------
    opt : torch.optim.Optimizer
        gradstep's or another one, over tensors on the CPU. Groups and state are shared with it.
    k : int ≥ 1
        Steps between. Those that gradstep's optimizers skip do not count. Default 5.
    alpha : float in [0, 1]
        How far the slow weights go. Default 0.5.

    Notes
    -----
    State: that of the optimizer within, and ``slow``, which begins at the parameters and is float32
    or, of float64 parameters, float64. Parameters in half precision are rounded from it to nearest,
    and what ``rounding`` keeps beside them begins at 0 again. Copies follow. Momentum is left as it
    is.

    Zhang et al. 2019, "Lookahead Optimizer: k steps forward, 1 step back", arXiv:1907.08610,
    Algorithm 1.

    Examples
    --------
    >>> import torch
    >>> from gradstep.torch import SGD, Lookahead
    >>> w = torch.nn.Parameter(torch.ones(2))
    >>> opt = Lookahead(SGD([w], lr=0.5), k=2)
    >>> for _ in range(2):
    ...     w.grad = torch.ones(2)
    ...     opt.step()
    >>> w.data, opt.slow[w]
    (tensor([0.5000, 0.5000]), tensor([0.5000, 0.5000]))
    """

    _meeting: Meeting | None = None  # the last

    def __init__(self, opt: Any, k: int = 5, alpha: float = 0.5) -> None:
        super().__init__(opt)
        if isinstance(within := self._innermost, Optimizer):
            check_steps_from_params(within.method, type(within).__name__)
        self.k, self.alpha = check_k(k), check_alpha(alpha)
        self._since, self._counted = 0, None  # steps since both met, and the last that was counted
        self._slow: dict[Tensor, Tensor] = {}
        self._add_new()

    def __setattr__(self, name: str, value: Any) -> None:
        checks: dict[str, Callable[[Any], Any]] = {"k": check_k, "alpha": check_alpha}
        super().__setattr__(name, checks[name](value) if name in checks else value)

    @property
    def slow(self) -> Mapping[Tensor, Tensor]:
        """The live slow weights, by parameter."""
        return self._slow

    def _add_new(self) -> None:
        """Begin those of parameters that have none."""
        new = {p: begun(p) for p in self._params() if p not in self._slow}
        if new:
            self._slow = {**self._slow, **new}

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """A step of the optimizer within; after every k-th slow and fast weights meet.

        Returns what that returns, and raises what it raises.
        """
        if is_watched(self):
            return hooked(self, self._in_turn, closure)
        return self._in_turn(closure)

    # So that torch.optim does not wrap it: hooks and the profiler's record are honoured above.
    step.hooked = True  # type: ignore[attr-defined]

    def _in_turn(self, closure: Callable[[], Any] | None = None) -> Any:
        return self._turn.during("step()", self._step, closure)

    def _step(self, closure: Callable[[], Any] | None) -> Any:
        opt, this, returned = self.optimizer, object(), [False]
        if sum(len(group["params"]) for group in self.param_groups) != len(self._slow):
            self._add_new()
        if self._since + 1 >= self.k:
            self._checked()
        before = getattr(opt, "steps", None)
        try:
            try:
                loss = opt.step() if closure is None else opt.step(closure)
                returned[0] = True
            finally:
                self._count(this, before, returned[0])
        except BaseException:
            self._count(this, before, returned[0])  # it was interrupted above
            raise
        return loss

    def _count(self, this: object, before: int | None, returned: bool) -> None:
        """Count a step that was taken, once, and let slow and fast meet if it is time."""
        if self._counted is not this:
            info = getattr(self.optimizer, "last_info", None)
            taken = returned and not (info is not None and info.skipped)
            if before is not None:  # gradstep's, whose step may be interrupted after it was taken
                taken = self.optimizer.steps > before
            self.__dict__.update(_counted=this, _since=self._since + taken)
        if self._since >= self.k:
            self._meet()

    def _checked(self) -> Meeting:
        """What meets; an error where something cannot."""
        given, copies = self._params(), getattr(self.optimizer, "_copies", NO_COPIES)
        meeting = self._meeting
        if meeting is None or not meeting.holds(given, self._slow, copies):
            self._add_new()
            self.__dict__["_meeting"] = meeting = Meeting(given, self._slow, copies)
        return meeting

    def _meet(self) -> None:
        meeting = self._checked()
        entries = [self.state.get(param, {}) for param in meeting.params]
        beside = [e[key] for e in entries for key in BESIDE_PARAM.values() if key in e]
        changes = [partial(setitem, self.__dict__, "_since", 0)]
        changes += [partial(Tensor.zero_, tensor) for tensor in beside]
        meeting.take(self.alpha, at_once(changes))

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """As the optimizer's within; the slow weights begin at the new parameters."""
        super().add_param_group(param_group)
        self._add_new()

    @contextmanager
    def swap_slow_weights(self) -> Iterator[None]:
        """Within ``with opt.swap_slow_weights():`` the parameters hold the slow weights.

        Afterwards they are what they were, to the bit; copies follow. No step is taken meanwhile.

        Raises
        ------
        RuntimeError
            If the optimizer is busy; they cannot be swapped in twice. At the end, if a parameter
            was given other memory meanwhile, which then stays as it is.
        """
        mine: list[None] = []
        give = self._turn.give
        try:
            self._turn.take_for("swap_slow_weights()", mine)
            self._add_new()
            pairs = list(zip(self._slow, self._copies_of(list(self._slow)), strict=True))
            live = [t for pair in pairs for t in pair if t is not None]
            slow = [self._slow[p].to(t.dtype) for p, c in pairs for t in (p, c) if t is not None]
            kept = [tensor.detach().clone() for tensor in live]
            arrays, looks = list(map(array_of, live)), list(map(look_at, live))
            storages = [tensor.untyped_storage() for tensor in live]  # kept from going away
            there = at_once(map(filled, arrays, map(array_of, slow)))
            back = put_back(live, arrays, list(map(array_of, kept)), None)
            try:
                there()
                increment_version(live)
                yield
            finally:
                back()
                increment_version(live)
                del storages
            if list(map(look_at, live)) != looks:
                raise RuntimeError(
                    "parameters were given other memory, or another shape or dtype, within "
                    "swap_slow_weights(), and keep it; do so before or after it"
                )
        finally:
            if mine:
                self._turn.now = STEP
                give(None)

    def state_dict(self) -> dict[str, Any]:
        """That of the optimizer within, and in an entry ``"lookahead"`` what there is beside it."""
        return self._turn.during("state_dict()", self._state_dict)

    def _state_dict(self) -> dict[str, Any]:
        slow = [self._slow[param].clone() for param in self._params()]
        own = {"k": self.k, "alpha": self.alpha, "since": self._since, "slow": slow}
        return super().state_dict() | {OWN: own}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue where :meth:`state_dict` was taken.

        Raises
        ------
        TypeError, ValueError
            If it is no such state. Nothing has been changed then.
        """
        self._turn.during("load_state_dict()", self._load, dict(state_dict))

    def _load(self, given: dict[str, Any]) -> None:
        if OWN not in given:
            raise ValueError(
                f"state_dict has no entry {OWN!r}: it is not of a Lookahead. Load it into the "
                "optimizer within, opt.optimizer.load_state_dict(...)"
            )
        own = check_entries(given.pop(OWN), "k", "alpha", "since", "slow")
        numbers = {"k": check_k(own["k"]), "alpha": check_alpha(own["alpha"])}
        numbers["_since"] = check_count("since", own["since"], 0)
        params, slow = self._params(), list(own["slow"])
        if len(slow) != len(params):
            raise ValueError(f"there are slow weights of {len(slow)} parameters, not {len(params)}")
        made = {}
        for i, (param, values) in enumerate(zip(params, slow, strict=True)):
            if not isinstance(values, Tensor) or values.shape != param.shape:
                shape = tuple(getattr(values, "shape", ()))
                raise ValueError(
                    f"the slow weights of parameter {i} have shape {shape}; expected "
                    f"{tuple(param.shape)}"
                )
            made[param] = begun(param, values)
        super().load_state_dict(given)
        self.__dict__.update(numbers, _slow=made, _meeting=None)


def begun(param: Tensor, values: Tensor | None = None) -> Tensor:
    """Slow weights of a parameter, in the type that it is computed with."""
    dtype = np.float64 if param.dtype == torch.float64 else np.float32
    slow = tensor_on(allocate(array_of(param), 0.0, 1, dtype), param)
    return slow.copy_(param.detach() if values is None else values)
