"""Deep copies and pickles."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, NoReturn, TypeVar

from gradstep.closures import lbfgs_state as states
from gradstep.closures.parameters import Parameters

Self = TypeVar("Self", bound="Copyable")
OWN = ("_turn", "_parameters", "_options", "_constructed", "_space", "_memory")


class Copyable:
    """What ``copy`` and ``pickle`` call."""

    def __copy__(self) -> NoReturn:
        raise TypeError(
            "a shallow copy would share half of the optimizer; use copy.deepcopy(opt), or "
            "copy.deepcopy((params, opt)) to have its parameters in their structure, too"
        )

    def __deepcopy__(self: Self, memo: dict[int, Any]) -> Self:
        twin = memo[id(self)] = type(self).__new__(type(self))
        parts, others = self._during("copy.deepcopy()")
        parts["given"] = deepcopy(parts["given"], memo)
        twin.__setstate__((parts, deepcopy(others, memo)))
        return twin

    def __getstate__(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return self._during("a pickle of it")

    def __setstate__(self, state: tuple[dict[str, Any], dict[str, Any]]) -> None:
        parts, others = state
        opt: Any = self
        opt._set_up(Parameters(parts["structure"], parts["given"]), parts["options"])
        vars(self).update(others)
        states.load(opt, parts["state"])

    def _during(self, what: str) -> tuple[dict[str, Any], dict[str, Any]]:
        opt: Any = self
        parts: dict[str, Any] = opt._turn.during(what, parts_of, opt)
        return parts, {name: value for name, value in vars(self).items() if name not in OWN}


def parts_of(opt: Any) -> dict[str, Any]:
    """All that an optimizer is made of, the parameters not copied. The caller has the turn."""
    return {
        "structure": opt._parameters.structure,
        "given": dict(opt._parameters.given),
        "options": dict(opt._options),
        "state": states.to_dict(opt),
    }
