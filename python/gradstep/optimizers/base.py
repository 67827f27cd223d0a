"""What every optimizer does: hold state, line gradients up, evaluate schedules, take the step."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, TypedDict

from numpy.typing import NDArray

from gradstep import runtime
from gradstep.gradients import GradientReader
from gradstep.optimizers import state
from gradstep.optimizers.cohorts import Cohort, advance
from gradstep.optimizers.groups import Group
from gradstep.optimizers.hyper import Flag, Hyperparameter, Number, Scalar, is_number
from gradstep.optimizers.rows import Plan
from gradstep.param_groups import align_groups, split_groups
from gradstep.params import Align, check_disjoint

Array = NDArray[Any]


class StepInfo(NamedTuple):
    """What a step did.

    ``grad_norm`` is the Euclidean norm of all gradients times ``grad_scale``, before clipping, or
    None where nothing asked for it. ``skipped`` says that the step changed nothing, because of
    ``skip_nonfinite``.
    """

    grad_norm: float | None
    skipped: bool


DONE = StepInfo(None, False)


class SharedOptions(TypedDict, total=False):
    """The options of every optimizer; :class:`Optimizer` documents them."""

    decoupled_weight_decay: bool
    maximize: bool
    clip_norm: Scalar | None
    clip_value: Scalar | None
    skip_nonfinite: bool
    l1: Scalar
    ema_decay: Scalar | None


class Optimizer:
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
    clip_value : float > 0, schedule or None
        Limit every gradient element to ±clip_value.
    skip_nonfinite : bool
        Where a gradient holds NaN or infinity, change nothing and report ``skipped``.
    l1 : float or schedule, ≥ 0
        Proximal L1 penalty: after the update p is drawn towards zero by ``lr·l1``, to exact zeros.
    ema_decay : float in [0, 1), schedule or None
        Keep ``opt.ema[name] ← d·ema + (1−d)·p``, starting from the first parameters.

    All of it happens within the one pass over memory that the step makes anyway. Any of these, and
    any other hyperparameter, can be changed at any time on the optimizer or on one of its groups.
    """

    weight_decay = Number()
    decoupled_weight_decay = Flag()
    maximize = Flag()
    clip_norm = Number(above_low=True, optional=True)
    clip_value = Number(above_low=True, optional=True)
    skip_nonfinite = Flag()
    l1 = Number()
    ema_decay = Number(high=1.0, optional=True)

    hyperparameters: ClassVar[dict[str, Hyperparameter]]
    _shared_defaults: ClassVar[dict[str, Any]] = {
        "weight_decay": 0.0,
        "decoupled_weight_decay": False,
        "maximize": False,
        "clip_norm": None,
        "clip_value": None,
        "skip_nonfinite": False,
        "l1": 0.0,
        "ema_decay": None,
    }

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.hyperparameters = {
            name: value
            for klass in cls.__mro__
            for name, value in vars(klass).items()
            if isinstance(value, Hyperparameter)
        }

    def __init__(self, params: Any, own: Mapping[str, Any], shared: Mapping[str, Any]) -> None:
        self._refuse_unknown(shared)
        self._defaults = {**self._shared_defaults, **own, **shared}
        self._lock = threading.Lock()
        self._busy = "another step"
        self._params: dict[str, Array] = {}
        self._groups: list[Group] = []
        self._cohorts: list[Cohort] = []
        self._state: dict[str, dict[str, Array]] = {}
        self._ema: dict[str, Array] = {}
        self._steps = 0
        self._grouped, groups = split_groups(params)
        for group in groups:
            self._add(group)
        if not self._params:
            raise ValueError("params holds no parameters; give at least one array")
        check_disjoint(self._params)
        self._prepare()

    # What a subclass provides.

    def rule(self, h: Mapping[str, Any]) -> str:
        """The name of the rule that these hyperparameters select.

        Raises a ValueError where they do not go together.
        """
        raise NotImplementedError

    def coefficients(self, rule: str, h: Mapping[str, Any], t: int) -> dict[str, float]:
        """The coefficients of `rule` for a tensor's step number `t`, counted from 1."""
        raise NotImplementedError

    def initial(self, slot: str, h: Mapping[str, Any]) -> float:
        """What a state slot is filled with before the first step."""
        return 0.0

    # What users call.

    def step(self, grads: Any, *, grad_scale: float = 1.0, with_norm: bool = False) -> StepInfo:
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
            if self._stale or self._table_type is not runtime.table_type():
                self._prepare()
            if grad_scale != 1.0:
                grad_scale = check_grad_scale(grad_scale)
            rows = [self._row(cohort) for cohort in self._cohorts]
            norm, skipped, absent = self._table.step(
                self._align(grads), rows, grad_scale, with_norm or self._wants_norm, self._skips
            )
            if not skipped:
                self._steps += 1
                if advance(self._cohorts, absent):
                    self._assign()
            return DONE if norm is None else StepInfo(norm, skipped)
        finally:
            self._lock.release()

    @property
    def params(self) -> Mapping[str, Array]:
        """The parameters by name."""
        return MappingProxyType(self._params)

    @property
    def groups(self) -> tuple[Group, ...]:
        """The parameter groups; set a hyperparameter with ``opt.groups[i]["lr"] = 0.1``."""
        return tuple(self._groups)

    @property
    def state(self) -> Mapping[str, Mapping[str, Array]]:
        """The live state arrays: ``opt.state[name][slot]``."""
        self._refresh()
        return MappingProxyType({k: MappingProxyType(v) for k, v in self._state.items()})

    @property
    def ema(self) -> Mapping[str, Array]:
        """The live averages of the parameters in groups with ``ema_decay``."""
        self._refresh()
        return MappingProxyType(self._ema)

    @property
    def steps(self) -> int:
        """The number of completed steps: what schedules are functions of."""
        return self._steps

    def add_group(self, group: Mapping[str, Any]) -> None:
        """Add parameters: ``{"params": ..., "lr": ..., ...}``. Gradients then come per group."""
        with self._exclusive("add_group()"):
            if not isinstance(group, Mapping) or "params" not in group:
                raise TypeError(f'group must be a dict with an entry "params", got {group!r}')
            before = self._grouped, dict(self._params), list(self._groups), list(self._cohorts)
            try:
                self._grouped, (checked,) = split_groups([group])
                self._add(checked)
                check_disjoint(self._params)
                self._prepare()
            except (TypeError, ValueError):
                self._grouped, self._params, self._groups, self._cohorts = before
                raise

    def state_dict(self) -> dict[str, Any]:
        """Everything that a step depends on, copied: plain dicts of arrays and numbers.

        Schedules are functions and not in it; the optimizer that loads it has its own.
        """
        with self._exclusive("state_dict()"):
            self._refresh()
            return state.to_dict(self)

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue, bit for bit, where :meth:`state_dict` was taken.

        Raises
        ------
        TypeError, ValueError
            If it is not a state of this kind of optimizer over parameters of these names, shapes
            and dtypes. Nothing has been changed then.
        """
        with self._exclusive("load_state_dict()"):
            self._refresh()
            state.from_dict(self, state_dict)
            self._prepare()

    def __repr__(self) -> str:
        elements = sum(param.size for param in self._params.values())
        size = f"{len(self._params)} tensors, {elements:,} elements"
        if len(self._groups) > 1:
            return f"{type(self).__name__}({len(self._groups)} groups; {size})"
        shown = {
            name: value
            for name, value in self._groups[0].items()
            if name != "params" and self._shared_defaults.get(name, math.nan) != value
        }
        settings = ", ".join(f"{name}={value!r}" for name, value in shown.items())
        return f"{type(self).__name__}({settings}; {size})"

    # How it is done.

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

    def _refuse_unknown(self, options: Mapping[str, Any]) -> None:
        for name in options:
            if name not in self.hyperparameters:
                raise TypeError(
                    f"{type(self).__name__} has no option {name!r}; "
                    f"its options are {', '.join(self.hyperparameters)}"
                )

    def _add(self, group: Mapping[str, Any]) -> None:
        index = len(self._groups)
        given = {name: value for name, value in group.items() if name != "params"}
        self._refuse_unknown(given)
        structure, named = group["params"](index if self._grouped else None)
        for name in named:
            if name in self._params:
                raise ValueError(
                    f"two groups have a parameter named {name!r}; rename one of their dict keys"
                )
        first = len(self._params)
        self._groups.append(
            Group(
                self.hyperparameters,
                {**self._defaults, **given},
                tuple(named),
                structure,
                self._plan,
                self._mark_stale,
            )
        )
        self._params.update(named)
        self._cohorts.append(Cohort(index, 0, list(range(first, len(self._params)))))

    def _plan(self, values: Mapping[str, Any]) -> Plan:
        return Plan(
            self.rule(values),
            values["ema_decay"] is not None,
            values["clip_norm"] is not None,
            values["skip_nonfinite"],
        )

    def _mark_stale(self) -> None:
        self._stale = True

    def _refresh(self) -> None:
        if self._stale:
            self._prepare()

    def _prepare(self) -> None:
        """Bring state, averages and the parameter table in line with the hyperparameters."""
        slots, averages = [], []
        for group in self._groups:
            h = group.at(self._steps)
            names = state.slots_of(group.plan.rule)
            for name in group.names:
                of_one = self._state.setdefault(name, {})
                for slot in names:
                    if slot not in of_one:
                        of_one[slot] = state.allocate(
                            self._params[name], self.initial(slot, h), len(of_one)
                        )
                slots.append([of_one[slot] for slot in names])
                averages.append(self._average_of(name, group))
        params = list(self._params.values())
        owned = [s for of_one in slots for s in of_one] + [a for a in averages if a is not None]
        self._table_type = runtime.table_type()
        reader = GradientReader(list(self._params), params, owned)
        self._table = self._table_type(params, slots, averages, reader)
        self._align: Align = align_groups(self._groups, self._grouped)
        self._skips = any(group.plan.skips_nonfinite for group in self._groups)
        self._wants_norm = self._skips or any(group.plan.clips_norm for group in self._groups)
        self._assign()
        self._stale = False

    def _average_of(self, name: str, group: Group) -> Array | None:
        if not group.plan.averages:
            self._ema.pop(name, None)
        elif name not in self._ema:
            param = self._params[name]
            self._ema[name] = state.allocate(param, 0.0, len(self._state[name]))
            self._ema[name][...] = param
        return self._ema.get(name)

    def _assign(self) -> None:
        row_of = [0] * len(self._params)
        for row, cohort in enumerate(self._cohorts):
            cohort.rule = self._groups[cohort.group].plan.rule
            for i in cohort.members:
                row_of[i] = row
        self._table.assign([cohort.rule for cohort in self._cohorts], row_of)

    def _row(self, cohort: Cohort) -> tuple[Any, ...]:
        group = self._groups[cohort.group]
        h = group.at(self._steps)
        return (*group.row(h), self.coefficients(cohort.rule, h, cohort.count + 1))


def check_grad_scale(value: Any) -> float:
    if not is_number(value):
        raise TypeError(f"grad_scale must be a finite number > 0, got {value!r}")
    number = float(value)
    if not (math.isfinite(number) and number > 0):
        raise ValueError(f"grad_scale must be a finite number > 0, got {value!r}")
    return number
