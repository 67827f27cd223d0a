"""A function's minimum, by any optimizer."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.arrays.groups import named_params
from gradstep.arrays.structure import Align, aligner
from gradstep.arrays.trees import flatten, rebuilt
from gradstep.closures.evaluation import check_callable, evaluated
from gradstep.closures.iterations import Callback
from gradstep.closures.lbfgs import LBFGS, check_callback
from gradstep.loop.clipping import global_norm
from gradstep.optimizer.front import Optimizer
from gradstep.values import check_count, check_finite

Array = NDArray[Any]
Function = Callable[[Any], tuple[Any, Any]]


@dataclass(frozen=True)
class MinimizeResult:
    """What :func:`minimize` found; the fields are those of SciPy's ``OptimizeResult``."""

    #: The parameters, in the structure of ``x0``, and there
    x: Any
    #: the loss,
    fun: float
    #: and its gradients.
    jac: Any
    #: Iterations; for an optimizer without closures these are its steps.
    nit: int
    #: Calls of ``fun``.
    nfev: int
    #: Whether the gradient's norm is at most ``tol``.
    success: bool
    #: 0: it is. 1: ``max_steps`` were too few. 2: the optimizer moves no further. 3: losses or
    #: gradients are not finite. 99: the callback raised StopIteration.
    status: int
    message: str


ENDED = {
    0: "the gradient's norm is at most tol",
    1: "the gradient's norm is above tol after max_steps steps",
    2: "the optimizer moves no further, with the gradient's norm above tol; lower its "
    "tolerance_grad and tolerance_change, if it has any",
    3: "the loss or its gradient is not finite",
    99: "callback raised StopIteration",
}


class Point:
    """The latest evaluation, and their number. It can be had once more where nothing has moved."""

    def __init__(self, fun: Function, x: Any, align: Align) -> None:
        self._fun, self._x, self._align = fun, x, align
        self.count = 0
        self._fresh = False

    def evaluate(self) -> None:
        self.loss, leaves = evaluated(lambda: self._fun(self._x), self._align)
        self.count += 1
        self.grads = copied(self._x, leaves)
        self.norm = global_norm(self.grads)
        self._fresh = True

    def closure(self) -> tuple[float, Any]:
        """What has been evaluated the first time, and from then on new evaluations."""
        if self._fresh:
            self._fresh = False
            return self.loss, self.grads
        self.count += 1
        returned: tuple[float, Any] = self._fun(self._x)
        return returned

    @property
    def finite(self) -> bool:
        return bool(np.isfinite(self.loss) and np.isfinite(self.norm))


def minimize(
    fun: Function,
    x0: Any,
    optimizer: Callable[[Any], Optimizer | LBFGS],
    *,
    tol: float = 1e-5,
    max_steps: int = 10_000,
    callback: Callback | None = None,
) -> MinimizeResult:
    """Run an optimizer until the gradient's norm is at most `tol`.

    Parameters
    ----------
    fun : function of x that returns (loss, grads)
        ``x`` has the structure of `x0`, and so have the gradients.
    x0 : array, or lists, tuples and dicts of arrays, nested at will
        Where to begin. It is copied; numbers that are no floats become float64.
    optimizer : class, or function of the parameters that makes an optimizer
        ``lambda params: gs.Adam(params, lr=0.1)``, or ``gs.LBFGS``, which by itself stands for one
        that searches along lines and has tolerances that suit `tol`.
    tol : float ≥ 0
        The Euclidean norm of all gradients at which to end.
    max_steps : int ≥ 1
        Steps of the optimizer; one of :class:`LBFGS` is up to ``max_iter`` iterations.
    callback : function of (step, loss, grad_norm)
        Called after each iteration, with its number and what was last evaluated there. If it
        raises StopIteration, the run ends after the step.

    Returns
    -------
    MinimizeResult
        With the fields of SciPy's ``OptimizeResult``.

    Raises
    ------
    TypeError, ValueError
        If an argument, or what `fun` returns, is not legal.

    Examples
    --------
    >>> import numpy as np, gradstep as gs
    >>> def ravine(w):
    ...     return w[0] ** 2 + 8 * w[1] ** 2, np.array([2 * w[0], 16 * w[1]])
    >>> found = gs.minimize(ravine, np.ones(2), gs.LBFGS)
    >>> found.success, found.nit, bool(found.fun < 1e-12)
    (True, 8, True)
    """
    check_callable("fun", fun, "of x that returns (loss, grads)")
    check_callable("optimizer", optimizer, "of the parameters, or a class of optimizers")
    tol, max_steps = check_finite("tol", tol, 0.0), check_count("max_steps", max_steps)
    if callback is not None:
        check_callback(callback)
    x = own_floats(x0)
    opt = searching(x, tol) if optimizer is LBFGS else optimizer(x)
    if not isinstance(opt, (Optimizer, LBFGS)):
        raise TypeError(
            f"optimizer must make an optimizer of gradstep's, got a {type(opt).__name__}; give a "
            "class, or a function such as lambda params: gs.Adam(params, lr=0.1)"
        )
    point = Point(fun, x, aligner(named_params(x, None)[0]))
    run = with_closures if isinstance(opt, LBFGS) else with_gradients
    status, iterations = run(opt, point, tol, max_steps, callback or nothing)  # type: ignore[arg-type]
    return MinimizeResult(
        x, point.loss, point.grads, iterations, point.count, status == 0, status, ENDED[status]
    )


def searching(params: Any, tol: float) -> LBFGS:
    """L-BFGS that searches along lines until the gradient's norm must be below `tol`."""
    opt = LBFGS(params, line_search_fn="strong_wolfe", tolerance_change=0)
    elements = sum(param.size for param in opt.params.values())
    opt.tolerance_grad = 0.99 * tol / math.sqrt(max(elements, 1))
    return opt


def with_gradients(
    opt: Optimizer, point: Point, tol: float, max_steps: int, callback: Callback
) -> tuple[int, int]:
    """The status, and the number of iterations."""
    for done in range(max_steps + 1):
        point.evaluate()
        if done and stops(callback, done, point.loss, point.norm):
            return 99, done
        if not point.finite:
            return 3, done
        if point.norm <= tol:
            return 0, done
        if done < max_steps:
            opt.step(point.grads)
    return 1, max_steps


def with_closures(
    opt: LBFGS, point: Point, tol: float, max_steps: int, callback: Callback
) -> tuple[int, int]:
    before = opt.iterations
    ended: list[None] = []  # by the callback, where there is an entry
    last, stalled = (math.inf, math.inf), False

    def called(step: int, loss: float, norm: float) -> None:
        if not ended and stops(callback, step - before, loss, norm):
            ended.append(None)

    for done in range(max_steps + 1):
        point.evaluate()
        iterations = opt.iterations - before
        if ended:
            return 99, iterations
        if not point.finite:
            return 3, iterations
        if point.norm <= tol:
            return 0, iterations
        if stalled and not (point.loss < last[0] or point.norm < last[1]):
            return 2, iterations
        if done < max_steps:
            last = point.loss, point.norm
            info = opt.step(point.closure, callback=called)
            if info.skipped:
                return 3, iterations
            searched = info.line_search is not None
            stalled = searched or info.stopped in ("gradient", "slope", "change")
    return 1, opt.iterations - before


def stops(callback: Callback, *args: Any) -> bool:
    try:
        callback(*args)
    except StopIteration:
        return True
    return False


def nothing(step: int, loss: float, norm: float) -> None:
    """The callback of who gives none."""


def own_floats(x0: Any) -> Any:
    """A copy of `x0` in arrays that can be trained."""
    structure, leaves = flatten(x0)
    arrays = {}
    for name, leaf in leaves.items():
        array = np.array(leaf, order="K")
        if array.dtype.kind in "iub":
            array = array.astype(np.float64)
        arrays[name] = array
    return rebuilt(structure, arrays)


def copied(x: Any, leaves: Sequence[Any]) -> Any:
    """The gradients in the structure of x, in memory of their own."""
    structure, named = flatten(x)
    copies = (None if leaf is None else np.array(leaf) for leaf in leaves)
    return rebuilt(structure, dict(zip(named, copies, strict=True)))
