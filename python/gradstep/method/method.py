"""What an optimizer is, without any parameters: hyperparameters, slots, rules and coefficients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypeVar

from gradstep.method.hyperparameters import (
    UNSET,
    Axis,
    Choice,
    Flag,
    Hyperparameter,
    Number,
    Seed,
)
from gradstep.method.rows import Plan, penalties, plan_of
from gradstep.method.slots import Slot
from gradstep.reference import RULES

Declared = TypeVar("Declared", Hyperparameter, Slot)


def of_type(klass: type, kind: type[Declared]) -> dict[str, Declared]:
    return {name: value for name, value in vars(klass).items() if isinstance(value, kind)}


class Method:
    """The base of all optimizers. Every one of them takes these options, by keyword.

    All of it happens within the one pass over memory that the step makes anyway. Any of these, and
    any other hyperparameter, can be changed at any time on the optimizer or on one of its groups.
    """

    weight_decay = Number(
        0.0,
        "Coupled, ``g ← g + λ·p`` (L2 regularisation), or, with ``decoupled_weight_decay=True``, "
        "``p ← (1 − lr·λ)·p``.",
    )
    decoupled_weight_decay = Flag(False, "Let ``weight_decay`` shrink the parameters directly.")
    maximize = Flag(False, "Follow the gradient uphill.")
    clip_norm = Number(
        None,
        "Where the norm of all gradients together exceeds this, scale them all down to it.",
        above_low=True,
        optional=True,
    )
    clip_tensor_norm = Number(
        None, "Scale each gradient down to this norm.", above_low=True, optional=True
    )
    clip_adaptive = Number(
        None,
        "Adaptive clipping (AGC): scale the gradient of each unit down to this times the norm of "
        "the unit's parameters, or times ``clip_adaptive_eps`` where that is larger. A unit is a "
        "slice along ``clip_adaptive_axis``. Brock et al. 2021, "
        "arXiv:2102.06171. Of several limits this is the first, then those of tensors, of all "
        "gradients and of elements.",
        above_low=True,
        optional=True,
    )
    clip_adaptive_eps = Number(1e-3, "The least norm of a unit for ``clip_adaptive``.")
    clip_adaptive_axis = Axis(
        -1,
        "The axis that units of ``clip_adaptive`` are slices along: the last for ``(fan_in, "
        "fan_out)`` weights, the first, 0, for ``(fan_out, fan_in)`` as in PyTorch.",
    )
    clip_value = Number(
        None, "Limit every gradient element to ±clip_value.", above_low=True, optional=True
    )
    skip_nonfinite = Flag(
        False,
        "Where the norm of all gradients is not finite, change nothing and report ``skipped``.",
    )
    l1 = Number(
        0.0,
        "Proximal L1 penalty: after the update p is drawn towards zero by ``lr·l1``, to exact "
        "zeros.",
    )
    ema_decay = Number(
        None,
        "Keep ``opt.ema[name] ← d·ema + (1−d)·p``, starting from the first parameters. With "
        "``schedules.debiased_ema``, ``ema_warmup`` or ``equal_average`` (SWA) it soon forgets "
        "those.",
        high=1.0,
        with_high=True,
        optional=True,
    )

    rounding = Choice(
        "nearest",
        "How parameters in bfloat16 or float16 are rounded to it: to nearest; stochastically, so "
        'that steps below their last place count on average; ``"kahan"``, which keeps what '
        'rounding took, in the same format; or, of bfloat16, ``"split"``, which keeps the lower '
        "half of a float32, so that training is in float32 exactly.",
        among=("nearest", "stochastic", "kahan", "split"),
    )
    seed = Seed(
        0, "What the draws of stochastic parameters, and of state and averages, begin from."
    )
    state_dtype = Choice(
        None,
        "What the state is stored in, beside parameters of at most 32 bits: float32 by default; "
        '``"8bit"`` for tensors of 4,096 elements and more; ``"param"`` for each parameter\'s own '
        "format, but float32 for squares beside float16. Narrower than float32 it is dithered: "
        "rounded up or down, right on average.",
        among=("float32", "bfloat16", "float16", "8bit", "param"),
    )
    ema_dtype = Choice(
        None,
        "What averages of parameters are stored in, float32 by default, and dithered as the state.",
        among=("float32", "bfloat16", "float16"),
    )

    hyperparameters: ClassVar[Mapping[str, Hyperparameter]]  # in the order of the signature
    positional: ClassVar[Sequence[str]]  # those that have a place in it; the others are by name
    slots: ClassVar[Mapping[str, Slot]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._collect()

    @classmethod
    def _collect(cls) -> None:
        """Base classes first, so that what is declared anew keeps its place."""
        declared: dict[str, Hyperparameter] = {}
        own: dict[str, None] = {}
        slots: dict[str, Slot] = {}
        for klass in reversed(cls.__mro__):
            slots |= of_type(klass, Slot)
            for name, value in of_type(klass, Hyperparameter).items():
                declared[name] = value.over(declared.get(name))
                if klass is not Method and name not in BY_NAME:
                    own[name] = None
        cls.positional = tuple(own)
        cls.hyperparameters = {name: declared[name] for name in (*own, *declared)}
        cls.slots = slots

    def rule(self, h: Mapping[str, Any]) -> str:
        """The name of the rule that these hyperparameters select.

        Raises a ValueError where they do not go together.
        """
        raise NotImplementedError

    def state_slots(self, rule: str, shape: tuple[int, ...]) -> list[str]:
        """The arrays that steps of `rule` keep of a parameter of this shape."""
        kept = [name for slot in RULES[rule].state for name in self.slots[slot].kept(shape)]
        return kept + self.matrices(rule)

    def matrices(self, rule: str) -> list[str]:
        """The slots beside those of `rule` that its directions are computed of."""
        return []

    def check_param(self, name: str, shape: tuple[int, ...], plan: Plan) -> None:
        """Raise a ValueError where a parameter of this shape cannot be stepped as planned."""

    def coefficients(self, rule: str, h: Mapping[str, Any]) -> dict[str, float]:
        """The coefficients of `rule` that hold for every step."""
        raise NotImplementedError

    def step_coefficients(self, rule: str, h: Mapping[str, Any], t: int) -> dict[str, float]:
        """Those that depend on a tensor's step number `t`, counted from 1."""
        return {}

    def penalties(self, h: Mapping[str, Any]) -> tuple[float, ...]:
        """Coupled decay, the factor of decoupled decay, and the threshold of proximal L1."""
        return penalties(h)

    def plan(self, values: Mapping[str, Any]) -> Plan:
        """What these hyperparameters ask for; a ValueError where they do not go together."""
        plan = plan_of(self.rule(values), values)
        self.check_state_dtype(plan)
        return plan

    def check_state_dtype(self, plan: Plan) -> None:
        """Raise a ValueError where the state of a rule cannot be stored as the plan has it."""
        slots = {name: self.slots[name].values for name in RULES[plan.rule].slots}
        for name, held in slots.items():
            if plan.state_dtype == "float16" and held == "squares":
                relative = "" if "exact" in slots.values() else ", or '8bit', which is relative"
                raise ValueError(
                    f"state_dtype='float16' cannot hold {name!r}, squares below 6e-8 among it; use "
                    f"'bfloat16', which has float32's range{relative}"
                )
            if plan.state_dtype == "8bit" and held == "exact":
                raise ValueError(
                    f"state_dtype='8bit' cannot hold {name!r}, in which small changes add up; use "
                    "'float32' or 'bfloat16'"
                )

    def values(
        self, kind: str, by_place: Sequence[Any], by_name: Mapping[str, Any]
    ) -> dict[str, Any]:
        """All hyperparameters of an optimizer named `kind`: as given, or their defaults.

        Raises
        ------
        TypeError
            If there is no such hyperparameter, or one is given twice or not at all.
        """
        if len(by_place) > len(self.positional):
            raise TypeError(
                f"{kind} takes at most {len(self.positional)} options by position "
                f"({', '.join(self.positional)}), got {len(by_place)}; give the others by name"
            )
        given = dict(zip(self.positional, by_place, strict=False))
        if twice := given.keys() & by_name.keys():
            raise TypeError(f"{kind} was given {min(twice)!r} twice, by position and by name")
        given |= by_name
        self.refuse_unknown(kind, given)
        values = {
            name: given.get(name, self.hyperparameters[name].default)
            for name in (*SHARED, *self.hyperparameters)
        }
        for name, value in values.items():
            if value is UNSET:
                raise TypeError(f"{kind} needs {name!r}, which has no default")
        return values

    def refuse_in_group(self, kind: str, options: Mapping[str, Any]) -> None:
        """Raise a TypeError where a group is given options that do nothing in it."""
        self.refuse_unknown(kind, options)

    def refuse_unknown(self, kind: str, options: Mapping[str, Any]) -> None:
        """Raise a TypeError that names the options where others are given."""
        for name in options:
            if name not in self.hyperparameters:
                raise TypeError(
                    f"{kind} has no option {name!r}; "
                    f"its options are {', '.join(self.hyperparameters)}"
                )


SHARED = of_type(Method, Hyperparameter)
# Where weight_decay stands among its own options is up to each method.
BY_NAME = SHARED.keys() - {"weight_decay"}
Method._collect()


class WithAverage(Method):
    """A method whose parameters p stand between an array of the state, s, and its average."""

    average_from: ClassVar[str]  # the name of s

    def beyond(self, h: Mapping[str, Any]) -> float:
        """The factor f of the average, p + f·(s − p)."""
        raise NotImplementedError


class WithVelocity(Method):
    """A method whose ``momentum_buffer`` says where the next step leads."""

    def lead(self, h: Mapping[str, Any]) -> float:
        """The factor f of the point p − f·buffer."""
        factor: float = h["lr"] * h["momentum"]
        return factor
