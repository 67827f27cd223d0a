"""L-BFGS — Liu & Nocedal 1989; Nocedal & Wright 2006, Algorithms 7.4 and 7.5."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

from numpy.typing import NDArray

from gradstep.arrays.groups import named_arrays
from gradstep.arrays.loans import lent
from gradstep.closures import lbfgs_state as states
from gradstep.closures.copies import Copyable
from gradstep.closures.evaluation import Closure, check_callable
from gradstep.closures.info import ClosureInfo, NotFinite
from gradstep.closures.iterations import Callback, Iterations, Memory
from gradstep.closures.options import Option, checked, declared, refuse
from gradstep.closures.parameters import Parameters
from gradstep.closures.space import Slots, Space
from gradstep.method.hyperparameters import Choice, Count, Flag, Number, Scalar
from gradstep.optimizer.checking import check_same_arrays
from gradstep.optimizer.turn import Turn

Array = NDArray[Any]


class LBFGS(Copyable):
    """L-BFGS: quasi-Newton steps from the last changes of the gradient.

    ``d = −H·g`` by the two-loop recursion, ``p ← p + t·d``, with the inverse Hessian's
    approximation H from pairs ``s = t·d`` and ``y = g_new − g`` with ``y·s > 1e-10``, begun from
    ``(y·s)/(y·y)`` of the newest. The first t is ``lr·min(1, 1/Σ|g|)``, the others lr; with
    ``line_search_fn="strong_wolfe"`` they are where a search begins.

    Names, defaults and steps are those of ``torch.optim.LBFGS``.

    Parameters
    ----------
    params : array, or lists, tuples and dicts of arrays, nested at will
        float32 or float64, updated in place. All have the same options: there are no groups.
    lr : float > 0 or schedule
        Step size; a schedule is a function of the completed steps.
    max_iter : int ≥ 1
        Iterations of a step.
    max_eval : int ≥ 1 or None
        Evaluations of a step from which on it begins no further iteration or search; None is
        ``max_iter·5//4``.
    tolerance_grad : float ≥ 0
        A step ends where no element of the gradient is larger.
    tolerance_change : float ≥ 0
        A step ends where parameters, loss or the directional derivative change by no more.
    history_size : int ≥ 1
        Pairs that are kept.
    line_search_fn : "strong_wolfe" or None
    maximize : bool
        Climb instead.

    Raises
    ------
    TypeError, ValueError
        If a parameter or an option is not legal, naming it.

    Notes
    -----
    State: two arrays like the parameters for each pair in the history, and up to eleven more. Up
    to ``min(history_size, max_iter)`` further pairs make that a step can be undone.

    Source: Nocedal & Wright 2006, *Numerical Optimization*, Algorithms 7.4, 7.5, 3.5 and 3.6.

    Examples
    --------
    >>> import numpy as np, gradstep as gs
    >>> x = np.array([-1.2, 1.0])
    >>> def rosenbrock():
    ...     a, b = 1 - x[0], x[1] - x[0] ** 2
    ...     return a**2 + 100 * b**2, np.array([-2 * a - 400 * x[0] * b, 200 * b])
    >>> opt = gs.LBFGS(x, line_search_fn="strong_wolfe", max_iter=50)
    >>> info = opt.step(rosenbrock)
    >>> x.round(3), info.stopped, info.line_search
    (array([1., 1.]), 'slope', 'wolfe')
    """

    _turn: Turn
    _parameters: Parameters
    _options: dict[str, Any]
    _constructed: dict[str, Any]
    _space: Space
    _memory: Memory

    lr = Option(Number(1.0, "Step size.", above_low=True))
    max_iter = Option(Count(20, "Iterations of a step.", low=1))
    max_eval = Option(Count(25, "Evaluations of a step.", low=1))
    tolerance_grad = Option(Number(1e-7, "A gradient that is small enough."))
    tolerance_change = Option(Number(1e-9, "A change that is small enough."))
    history_size = Option(Count(100, "Pairs that are kept.", low=1))
    line_search_fn = Option(Choice(None, "How long steps are found.", among=("strong_wolfe",)))
    maximize = Option(Flag(False, "Climb instead."))

    def __init__(
        self,
        params: Any,
        lr: Scalar = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: Literal["strong_wolfe"] | None = None,
        *,
        maximize: bool = False,
        **others: Any,
    ) -> None:
        kind = type(self)
        given = {name: value for name, value in locals().items() if name in declared(LBFGS)}
        refuse(kind.__name__, others, given)
        if max_eval is None:
            given["max_eval"] = max(LBFGS.max_iter.check(max_iter) * 5 // 4, 1)
        for name in ("tolerance_grad", "tolerance_change"):
            if callable(given[name]):
                raise TypeError(f"{name} must be a number, got a function; only lr has schedules")
        self._set_up(Parameters.of(params, kind.__name__), checked(kind, given))

    def _set_up(self, parameters: Parameters, options: dict[str, Any]) -> None:
        vars(self).update(
            _turn=Turn(),
            _parameters=parameters,
            _options=options,
            _constructed=dict(options),
            _space=Space(parameters.plain),
            _memory=Memory(),
        )

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name.startswith("_") or any(name in vars(klass) for klass in type(self).__mro__)):
            raise AttributeError(
                f"{type(self).__name__} has no attribute {name!r} to set; its options are "
                f"{', '.join(declared(type(self)))}"
            )
        super().__setattr__(name, value)

    def step(self, closure: Closure, *, callback: Callback | None = None) -> ClosureInfo:
        """Iterate until a tolerance or ``max_iter`` ends it, updating all parameters in place.

        Parameters
        ----------
        closure : function of nothing that returns (loss, grads)
            The loss of the parameters as they are, a number, and its gradients in their structure:
            each an array of its parameter's shape, or None for a parameter that is not trained.
            +∞ for a loss says that the parameters are too far off: a line search goes back.
        callback : function of (step, loss, grad_norm)
            Called after each iteration, with the number of iterations since the beginning, and loss
            and norm as :class:`~gradstep.closures.info.ClosureInfo` has them.

        Returns
        -------
        ClosureInfo
            A line search that fails is reported there, as are losses and gradients that are not
            finite, which leave parameters and history as they were before the step.

        Raises
        ------
        TypeError, ValueError
            If what `closure` returns is not legal.
        RuntimeError
            If another step of this optimizer is running: the closure must not take one.
        BaseException
            Whatever `closure` and `callback` raise. In each of these cases parameters and history
            are as they were before the step, bit for bit.
        """
        check_callable("closure", closure, "that returns (loss, grads)")
        if callback is not None:
            check_callback(callback)
        return self._turn.during("step()", self._step, closure, callback)

    def _step(self, closure: Closure, callback: Callback | None) -> ClosureInfo:
        memory, space, options = self._memory, self._space, self._options
        lr = options["lr"]
        if callable(lr):
            lr = type(self).lr.at(lr, memory.steps)
        held = space.begin()
        slots = Slots(space, memory.vectors())
        before = slots.take()
        align = self._parameters.align
        iterations = Iterations(space, slots, memory, options, closure, align, callback)
        space.save(before)
        with lent("step()", space.params.values()):
            try:
                new, info = iterations.run(lr)
                self._memory = new
            except BaseException as error:
                if self._memory is memory:
                    space.engine.restore(before)
                if not isinstance(error, NotFinite):
                    raise
                info = iterations.undone()
        del held
        return info

    @property
    def params(self) -> Mapping[str, Array]:
        """The parameters by name."""
        return MappingProxyType(self._space.params)

    def check(self, params: Any) -> None:
        """Raise an error where `params` do not hold the very arrays that the optimizer trains.

        Raises
        ------
        TypeError, ValueError
            If an array is another one, is missing, or cannot be a parameter.
        """
        given = named_arrays(params)
        if given.keys() != self.params.keys():
            raise ValueError(
                f"params must hold what the optimizer trains, {list(self.params)}; it holds "
                f"{list(given)}. Make a new optimizer of them."
            )
        check_same_arrays(self.params, given)

    @property
    def steps(self) -> int:
        """The number of completed steps: what a schedule is a function of."""
        return self._memory.steps

    @property
    def iterations(self) -> int:
        """The number of iterations of all completed steps."""
        return self._memory.iterations

    @property
    def evaluations(self) -> int:
        """How often completed steps have called their closures."""
        return self._memory.evaluations

    def state_dict(self) -> dict[str, Any]:
        """Everything that a step depends on, copied: plain dicts and lists of arrays and numbers.

        A schedule is a function and not in it; the optimizer that loads it has its own.
        """
        return self._turn.during("state_dict()", states.to_dict, self)

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue, bit for bit, where :meth:`state_dict` was taken.

        Raises
        ------
        TypeError, ValueError
            If it is no state of this optimizer over parameters of these names, shapes and dtypes.
            Nothing has been changed then.
        """
        self._turn.during("load_state_dict()", states.load, self, state_dict)

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={value!r}" for name, value in self._options.items())
        params = self._space.params
        elements = sum(param.size for param in params.values())
        size = f"{len(params)} tensors, {elements:,} elements"
        kept = f"{len(self._memory.pairs)} pairs"
        return f"{type(self).__name__}({options}; {size}, {kept})"


def check_callback(callback: Any) -> Callback:
    checked: Callback = check_callable("callback", callback, "of (step, loss, grad_norm)")
    return checked
