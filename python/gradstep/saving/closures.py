"""What a checkpoint has of an optimizer that evaluates closures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gradstep.arrays.at_once import Change, at_once, attribute, filled
from gradstep.arrays.parameters import check_writeable
from gradstep.closures import lbfgs_state as states
from gradstep.closures.lbfgs import LBFGS
from gradstep.closures.options import declared


class ClosurePart:
    """What a checkpoint has of `opt`, which fits it. The caller holds the optimizer's lock."""

    def __init__(self, opt: LBFGS, content: Mapping[str, Any], hyperparameters: bool) -> None:
        self._opt = opt
        self._params = content["params"] or {}
        self._options = content["optimizer"].get("options", {}) if hyperparameters else {}
        self._change = states.checked(opt, content["optimizer"], hyperparameters)
        self._constructed = content.get("constructed") if hyperparameters else None
        if self._constructed is not None:
            self._constructed = states.check_options(opt, self._constructed)

    def replaced(self) -> list[str]:
        """What the optimizer was constructed with otherwise than the one that was saved."""
        now, was = self._opt._constructed, self._constructed or {}
        return [
            f"{name} = {self._options[name]!r} in the place of {now[name]!r}"
            for name in declared(type(self._opt))
            if name in was and name in self._options and was[name] != now[name]
            if self._options[name] != now[name]
        ]

    def check(self) -> None:
        """Once more, after anybody's code; nobody's runs from here on until all is taken over."""
        for name in self._params:
            check_writeable(f"parameter {name!r} of opt", self._opt.params[name])
        self._opt._space.check()

    def take_over(self, others: Iterable[Change] = ()) -> None:
        """Make it the state, and these changes with it, at once."""
        changes = [filled(self._opt.params[name], v) for name, v in self._params.items()]
        constructed = self._opt._constructed | (self._constructed or {})
        at_once(
            [*changes, *others, attribute(self._opt, "_constructed", constructed), self._change]
        )()


def content_with_closure(opt: LBFGS, params: bool) -> dict[str, Any]:
    """What a checkpoint holds of `opt`, in copies. The caller holds its lock."""
    arrays = {name: param.copy(order="K") for name, param in opt.params.items()}
    return {
        "params": arrays if params else None,
        "optimizer": states.to_dict(opt),
        "constructed": {n: v for n, v in opt._constructed.items() if not callable(v)},
    }
