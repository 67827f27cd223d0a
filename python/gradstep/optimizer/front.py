"""What every optimizer does: hold state, line gradients up, evaluate schedules, take the step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, ClassVar

from numpy.typing import NDArray

from gradstep.arrays.groups import split_groups
from gradstep.arrays.loans import lent
from gradstep.arrays.selection import Groups
from gradstep.method.help import help_of, signature_of
from gradstep.method.hyperparameters import Hyperparameter
from gradstep.method.method import Method, of_type
from gradstep.optimizer import state_dict as states
from gradstep.optimizer.attributes import KnownAttributes, MadeOfMethod, OfAllGroups
from gradstep.optimizer.averages import exchanged, pairs_of
from gradstep.optimizer.checking import check_trained, current_value
from gradstep.optimizer.cohorts import after_step
from gradstep.optimizer.copies import Copyable
from gradstep.optimizer.decoding import StateOfAll
from gradstep.optimizer.description import describe
from gradstep.optimizer.group import Group
from gradstep.optimizer.layout import Layout
from gradstep.optimizer.step_info import DONE, StepInfo
from gradstep.optimizer.turn import STEP, Turn
from gradstep.values import check_flag, check_grad_scale

Array = NDArray[Any]


class Optimizer(KnownAttributes, Copyable, StateOfAll):
    """The NumPy front of a method: it holds parameters, groups and state, and takes the steps.

    A subclass names its `method`; a hyperparameter declared in its body takes the place of the
    method's. ``__doc__`` and the signature are made of the declarations.
    """

    method: ClassVar[Method] = Method()
    __signature__: Any = MadeOfMethod(signature_of)
    __doc__ = MadeOfMethod(help_of)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.__doc__ is None:
            cls.__doc__ = vars(Optimizer)["__doc__"]
        if "__init__" in vars(cls):
            cls.__signature__ = None
        if declared := of_type(cls, Hyperparameter):
            base = type(cls.method)
            cls.method = type(base.__name__, (base,), {"__doc__": base.__doc__, **declared})()
        cls._show_hyperparameters()

    @classmethod
    def _show_hyperparameters(cls) -> None:
        for name, declared in cls.method.hyperparameters.items():
            if name in vars(cls) or getattr(cls, name, None) is not declared:
                setattr(cls, name, OfAllGroups(declared))

    def __init__(
        self,
        params: Any,
        *by_place: Any,
        groups: Groups | None = None,
        copies: Any = None,
        **by_name: Any,
    ) -> None:
        kind = type(self).__name__
        values = self.method.values(kind, by_place, by_name)
        self._turn = Turn()
        self._layout = Layout(kind, self.method, values, *split_groups(params), groups, copies)

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
            Gradients in the structure of the parameters; for a list of groups a list with one entry
            per group, or one flat dict by the names in :attr:`params`. Each is an array of its
            parameter's shape, or None to leave that parameter, its state and its step count as they
            are; a step counts for schedules though all are None. Never written.
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
        turn = self._turn
        give = turn.give
        try:
            turn.take()
        except IndexError:
            raise turn.busy("step again") from None
        except BaseException:
            give(None)
            raise
        try:
            layout = self._layout
            if grad_scale != 1.0:
                grad_scale = check_grad_scale(grad_scale)
            rows = layout.rows()
            table, cohorts = layout.table, layout.cohorts
            try:
                norm, skipped, absent = table.step(
                    layout.align(grads),
                    rows,
                    grad_scale,
                    with_norm or skip_nonfinite or layout.needs_norm,
                    skip_nonfinite or layout.skips_nonfinite,
                )
                if absent and not skipped:
                    cohorts = after_step(cohorts, absent)
            except BaseException:
                # An interrupt waits for the kernels: the step may have been taken by now.
                last, absent = table.last_step
                if last is rows:
                    if absent:
                        cohorts = after_step(cohorts, absent)
                    layout.steps, layout.cohorts = layout.steps + 1, cohorts
                raise
            # No call from here on, so that a step that was taken is counted, and once.
            if not skipped:
                layout.steps, layout.cohorts = layout.steps + 1, cohorts
            info = DONE
            if norm is not None:
                info = StepInfo(norm, skipped)
            return info
        finally:
            give(None)

    @property
    def params(self) -> Mapping[str, Array]:
        """The parameters by name."""
        return MappingProxyType(self._layout.params)

    @property
    def copies(self) -> Mapping[str, Array]:
        """The copies of parameters in half precision, by the parameters' names."""
        return MappingProxyType(self._layout.copies.arrays)

    def check(self, params: Any) -> None:
        """Raise an error where `params` do not hold the very arrays that the optimizer trains.

        ``params["W"] = np.load(…)`` puts another array in the place of one that is trained, and no
        step will ever reach it; ``params["W"][...] = np.load(…)`` writes values into it.

        Raises
        ------
        TypeError, ValueError
            If an array is another one, is missing, or cannot be a parameter.
        """
        check_trained(self._layout, params)

    @property
    def groups(self) -> tuple[Group, ...]:
        """The parameter groups; set a hyperparameter with ``opt.groups[i]["lr"] = 0.1``."""
        return tuple(self._layout.groups)

    @contextmanager
    def swap_averages(self) -> Iterator[None]:
        """Within ``with opt.swap_averages():`` the parameters hold their averages, for evaluation.

        Afterwards they are what they were, to the bit; copies follow them. Parameters without an
        average stay as they are, and the optimizer takes no step meanwhile.

        Raises
        ------
        RuntimeError
            If there are no averages, or the optimizer is busy; they cannot be swapped in twice.
        ValueError
            If a parameter or its average is not what it was, or is not writeable any more. Nothing
            has been changed then.
        """
        mine: list[None] = []
        give = self._turn.give
        try:
            self._turn.take_for("swap_averages()", mine)
            self._layout.refresh()
            pairs = pairs_of(self._layout)
            with lent("swap_averages()", (param for param, _ in pairs)):
                yield from exchanged(pairs)
        finally:
            if mine:
                self._turn.now = STEP
                give(None)

    @property
    def steps(self) -> int:
        """The number of completed steps: what schedules are functions of."""
        return self._layout.steps

    def current(self, name: str, group: int | None = None) -> Any:
        """What the next step will use for the hyperparameter `name`: a schedule's value by then.

        `group` is the number of a group, which has to be given where groups differ.

        >>> import numpy as np, gradstep as gs
        >>> opt = gs.SGD(np.zeros(2), lr=gs.schedules.linear(10) * 0.5)
        >>> info = opt.step(np.ones(2))
        >>> opt.current("lr")
        0.45
        """
        return current_value(self._layout, name, group)

    def add_group(self, group: Mapping[str, Any]) -> None:
        """Add parameters: ``{"params": ..., "lr": ..., ...}``, and ``"copies"`` of them.

        Gradients then come as a list: first those of what the optimizer was made with, if that was
        no list of groups, then those of each group that was added.
        """
        if not isinstance(group, Mapping) or "params" not in group:
            raise TypeError(f'group must be a dict with an entry "params", got {group!r}')
        self._turn.during("add_group()", self._layout.add_group, split_groups([group])[1][0])

    def state_dict(self) -> dict[str, Any]:
        """Everything that a step depends on, copied: plain dicts of arrays and numbers.

        Schedules are functions and not in it; the optimizer that loads it has its own.
        """
        return self._turn.during("state_dict()", states.copied, self._layout)

    def load_state_dict(self, state_dict: Mapping[str, Any], *, convert: bool = False) -> None:
        """Continue, bit for bit, where :meth:`state_dict` was taken.

        With `convert` a state that is stored in other formats than this optimizer's is brought
        into these, exactly where they are wider. Copies then hold the parameters, rounded.

        Raises
        ------
        TypeError, ValueError
            If it is not a state of this kind of optimizer over parameters of these names, shapes
            and dtypes. Nothing has been changed then.
        """
        check_flag("convert", convert)
        self._turn.during("load_state_dict()", states.load, self._layout, state_dict, convert)

    def __repr__(self) -> str:
        return describe(self._layout)


Optimizer._show_hyperparameters()
