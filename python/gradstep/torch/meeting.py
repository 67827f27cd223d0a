"""Where slow and fast weights meet: checked once, and looked at in every meeting."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from itertools import chain
from operator import is_
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gradstep.around.slow import NO_AVERAGE, NO_LIMITS, NO_PENALTIES
from gradstep.torch.lists_step import Call
from gradstep.torch.state import check_apart
from gradstep.torch.tensors import array_of, check_tensor, lies_like
from gradstep.torch.watch import snapshot, watch

ANEW = "Make a new Lookahead after a change of parameters or slow weights."


class Meeting:
    """All that meets, and the step that it takes: good as long as :meth:`holds` says so.

    Parameters
    ----------
    given
        The parameters of all groups.
    slow
        The slow weights by parameter.
    copies
        Copies in half precision by parameter, of those that have one.

    Raises
    ------
    TypeError, ValueError
        If a parameter or its slow weights cannot be written.
    """

    def __init__(
        self, given: list[Tensor], slow: dict[Tensor, Tensor], copies: Mapping[Tensor, Tensor]
    ) -> None:
        self._given, self._slow, self._copies = given, slow, copies
        self._copies_seen = snapshot(copies, 1)
        self.params = list(dict.fromkeys(given))
        own = [slow[param] for param in self.params]
        halves = [copies.get(param) for param in self.params]
        check_can_meet(self.params, own)
        beside = [*own, *(half for half in halves if half is not None)]
        self._watch = watch(self.params, beside, [], slow, None)
        check_can_meet(self.params, own)  # as it is watched from here on
        self._call = Call(
            "lookahead", self.params, unread_gradients(self.params, own), {"slow_param": own},
            halves, [], [0] * len(self.params), list(range(len(self.params))), 1.0, [],
        )  # fmt: skip

    def holds(
        self, given: list[Tensor], slow: dict[Tensor, Tensor], copies: Mapping[Tensor, Tensor]
    ) -> bool:
        """Whether it would be made of the same, which lies where it did."""
        return (
            slow is self._slow
            and copies is self._copies
            and len(given) == len(self._given)
            and all(map(is_, given, self._given))
            and self._copies_seen.same()
            and self._watch.unchanged()
            and not any(map(Tensor.is_neg, chain(given, slow.values())))
        )

    def take(self, alpha: float, done: Callable[[], object]) -> None:
        """s ← s + α·(p − s), p ← s; `done` is called with it."""
        if not self.params:
            done()
            return
        call = copy(self._call)
        rows: list[Any] = [((NO_LIMITS, NO_PENALTIES, NO_AVERAGE, {"alpha": alpha}), {})]
        vars(call).update(rows=rows, count=done)
        call.taken()


def check_can_meet(params: list[Tensor], slow: list[Any]) -> None:
    """Raise an error where a parameter or its slow weights cannot be written."""
    written: dict[str, Any] = {}
    for i, (param, own) in enumerate(zip(params, slow, strict=True)):
        what = f"the slow weights of parameter {i}"
        check_tensor(f"parameter {i}", param)
        check_tensor(what, own)
        wide = torch.float64 if param.dtype == torch.float64 else torch.float32
        if own.dtype != wide:
            raise TypeError(f"{what} have dtype {own.dtype}; expected {wide}. {ANEW}")
        if not lies_like(own, param):
            raise ValueError(
                f"{what} have shape {tuple(own.shape)} and strides {own.stride()}; expected "
                f"those of the parameter, {tuple(param.shape)} and {param.stride()}. {ANEW}"
            )
        written |= {f"parameter {i}": array_of(param), what: array_of(own)}
    check_apart(written)


def unread_gradients(params: list[Tensor], slow: list[Tensor]) -> list[Tensor]:
    """Gradients for a rule that reads none: views of zeros in pages that nobody has touched."""
    zeros = np.zeros(max((param.numel() for param in params), default=0) * 8, np.uint8)
    of = {s.dtype: torch.from_numpy(zeros).view(s.dtype) for s in slow}
    return [of[s.dtype].as_strided(s.shape, s.stride()) for s in slow]
