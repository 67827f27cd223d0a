"""What an optimizer is, without any parameters: its hyperparameters, rules and coefficients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from gradstep.method.hyperparameters import Flag, Hyperparameter, Number
from gradstep.method.rows import Plan, penalties, plan_of


class Method:
    """The base of all methods, with the hyperparameters that every one of them takes."""

    weight_decay = Number()
    decoupled_weight_decay = Flag()
    maximize = Flag()
    clip_norm = Number(above_low=True, optional=True)
    clip_tensor_norm = Number(above_low=True, optional=True)
    clip_adaptive = Number(above_low=True, optional=True)
    clip_adaptive_eps = Number()
    clip_value = Number(above_low=True, optional=True)
    skip_nonfinite = Flag()
    l1 = Number()
    ema_decay = Number(high=1.0, with_high=True, optional=True)

    hyperparameters: ClassVar[dict[str, Hyperparameter]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.hyperparameters = {
            name: value
            for klass in cls.__mro__
            for name, value in vars(klass).items()
            if isinstance(value, Hyperparameter)
        }

    def rule(self, h: Mapping[str, Any]) -> str:
        """The name of the rule that these hyperparameters select.

        Raises a ValueError where they do not go together.
        """
        raise NotImplementedError

    def coefficients(self, rule: str, h: Mapping[str, Any]) -> dict[str, float]:
        """The coefficients of `rule` that hold for every step."""
        raise NotImplementedError

    def step_coefficients(self, rule: str, h: Mapping[str, Any], t: int) -> dict[str, float]:
        """Those that depend on a tensor's step number `t`, counted from 1."""
        return {}

    def penalties(self, h: Mapping[str, Any]) -> tuple[float, ...]:
        """Coupled decay, the factor of decoupled decay, and the threshold of proximal L1."""
        return penalties(h)

    def initial(self, slot: str, h: Mapping[str, Any]) -> float:
        """What a state slot is filled with before the first step."""
        return 0.0

    def plan(self, values: Mapping[str, Any]) -> Plan:
        """What these hyperparameters ask for; a ValueError where they do not go together."""
        return plan_of(self.rule(values), values)

    def refuse_unknown(self, options: Mapping[str, Any]) -> None:
        """Raise a TypeError that names this optimizer's options where others are given."""
        for name in options:
            if name not in self.hyperparameters:
                raise TypeError(
                    f"{type(self).__name__} has no option {name!r}; "
                    f"its options are {', '.join(self.hyperparameters)}"
                )
