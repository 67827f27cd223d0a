"""A function's minimum, by any optimizer."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.arrays.advice import is_list_of_numbers
from gradstep.arrays.groups import named_params
from gradstep.arrays.structure import Align, aligner
from gradstep.arrays.trees import flatten, rebuilt
from gradstep.closures.evaluation import check_callable, evaluated
from gradstep.closures.iterations import Callback
from gradstep.closures.lbfgs import LBFGS, check_callback
from gradstep.closures.result import ENDED, LIMIT, LOWER, MinimizeResult
from gradstep.loop.clipping import global_norm
from gradstep.optimizer.front import Optimizer
from gradstep.values import check_count, check_finite, shown

Array = NDArray[Any]
Function = Callable[[Any], tuple[Any, Any]]


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
    optimizer: Callable[[Any], Any],
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
        Where to begin. It is copied; numbers that are no floats, and lists of numbers, become
        arrays of float64.
    optimizer : class, or function of the parameters that makes an optimizer
        ``lambda params: gs.Adam(params, lr=0.1)``, or ``gs.LBFGS``, which by itself stands for one
        that searches along lines and has tolerances that suit `tol`. A :class:`Lookahead` will do;
        :class:`SAM` will not.
    tol : float ≥ 0
        The Euclidean norm of all gradients at which to end.
    max_steps : int ≥ 1
        Steps of the optimizer; one of :class:`LBFGS` is up to ``max_iter`` iterations.
    callback : function of (step, loss, grad_norm)
        Called after each iteration, with its number and what was last evaluated there. If it
        raises StopIteration, the run ends after the step; one of :class:`LBFGS` goes on until then,
        and `callback` is called no more.

    Returns
    -------
    MinimizeResult
        With the fields of SciPy's ``OptimizeResult``. ``x`` is where gradients are taken: of a
        :class:`Lookahead` the fast weights, of ``ScheduleFree...`` the point between its average
        and its steps, of others with ``ema_decay`` not the average.

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
    check_made(opt)
    point = Point(fun, x, aligner(named_params(x, None)[0]))
    run = with_closures if isinstance(opt, LBFGS) else with_gradients
    status, iterations = run(opt, point, tol, max_steps, callback or nothing)  # type: ignore[arg-type]
    message = ENDED[status] + (stalled_by(opt, optimizer is LBFGS) if status == 2 else "")
    return MinimizeResult(
        x, point.loss, point.grads, iterations, point.count, status == 0, status, message
    )


def check_made(opt: Any) -> None:
    within, kind = opt, type(opt).__name__
    while hasattr(type(within), "takes_closures"):  # one around another
        if within.takes_closures:
            raise TypeError(
                f"optimizer must step with the gradients at x, got {kind}: the gradients of "
                f"{type(within).__name__} are those of worse points nearby, which vanish where "
                "those at x, by which tol goes, do not. Give the optimizer within"
            )
        within = within.optimizer
    if not isinstance(within, (Optimizer, LBFGS)):
        raise TypeError(
            f"optimizer must make an optimizer of gradstep's, got a {kind}; give a class, or a "
            "function such as lambda params: gs.Adam(params, lr=0.1)"
        )


def stalled_by(opt: LBFGS, tolerances_are_ours: bool) -> str:
    """Why it moves no further, and what to do."""
    if not tolerances_are_ours and max(opt.tolerance_grad, opt.tolerance_change) > 0:
        return LOWER
    return LIMIT.format(" and ".join(sorted({str(p.dtype) for p in opt.params.values()})))


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
    structure, leaves = flatten(with_arrays(x0))
    arrays = {}
    for name, leaf in leaves.items():
        array = np.array(leaf, order="K")
        if array.dtype.kind in "iub":
            array = array.astype(np.float64)
        arrays[name] = array
    return rebuilt(structure, arrays)


def with_arrays(node: Any) -> Any:
    """The same with an array in the place of each list of numbers."""
    if is_list_of_numbers(node, but=(np.generic,)):
        try:
            return np.array(node, np.float64)
        except ValueError:
            raise ValueError(
                f"x0 has a list of numbers whose parts differ in length, {shown(node)}; give "
                "arrays: [np.zeros(2), np.zeros(3)]"
            ) from None
    if isinstance(node, Mapping):
        return {key: with_arrays(part) for key, part in node.items()}
    if isinstance(node, (list, tuple)):
        parts = map(with_arrays, node)
        return tuple(parts) if isinstance(node, tuple) else list(parts)
    return node


def copied(x: Any, leaves: Sequence[Any]) -> Any:
    """The gradients in the structure of x, in memory of their own."""
    structure, named = flatten(x)
    copies = (None if leaf is None else np.array(leaf) for leaf in leaves)
    return rebuilt(structure, dict(zip(named, copies, strict=True)))
