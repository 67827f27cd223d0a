"""Sharpness-aware minimization: steps with the gradient of a worse point nearby."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradstep.around.ascent import Ascent, Copy, finite, is_plain, members_of
from gradstep.around.base import Around
from gradstep.around.info import LossInfo
from gradstep.arrays.loans import lent_at
from gradstep.closures.evaluation import Closure, check_callable, returned_by
from gradstep.optimizer.step_info import StepInfo
from gradstep.values import check_finite, check_grad_scale

SKIPPED = StepInfo(None, True)


class SAM(Around):
    """Sharpness-aware minimization around any optimizer: it seeks wide valleys.

    ::

        e ← ρ·g(p)/(‖g(p)‖ + 1e-12);   a step of the optimizer within on p, with g(p + e)

    Parameters
    ----------
    opt : Optimizer
        The optimizer within. Its attributes are those of the whole: ``opt.lr``, ``opt.groups``,
        ``opt.params``, ``opt.state_dict``.
    rho : float ≥ 0
        The radius of the neighbourhood, in the units of the parameters. Default 0.05.

    Notes
    -----
    State: that of the optimizer within. Beside it one array like each parameter is held, in which
    the parameters are kept during the second evaluation; they are put back to the bit.

    The norm is that of all gradients of all groups together. With ``maximize`` the point is one of
    a lower value. Schedules may find the parameters at the worse point.

    Foret et al. 2021, "Sharpness-Aware Minimization for Efficiently Improving Generalization",
    arXiv:2010.01412, Algorithm 1.

    Examples
    --------
    >>> import numpy as np, gradstep as gs
    >>> w = np.array([3.0, 4.0])
    >>> opt = gs.SAM(gs.SGD(w, lr=0.1), rho=0.5)
    >>> info = opt.step(lambda: (0.5 * float(w @ w), w.copy()))
    >>> w, info.loss
    (array([2.67, 3.56]), 12.5)
    """

    takes_closures = True
    _eta: float | None = None

    def __init__(self, opt: Any, rho: float = 0.05) -> None:
        super().__init__(opt)
        self.rho = rho
        self._ascent: Ascent | None = None

    @property
    def rho(self) -> float:
        """The radius of the neighbourhood."""
        return self._rho

    @rho.setter
    def rho(self, value: float) -> None:
        self._rho = check_finite("rho", value, 0.0)

    def step(self, closure: Closure, *, grad_scale: float = 1.0, **options: Any) -> LossInfo:
        """Evaluate the closure here and at the worse point, and step with the second gradient.

        Parameters
        ----------
        closure : function of nothing
            It returns ``(loss, grads)`` at the parameters as they are then: a number, and gradients
            in their structure, as for ``step`` of the optimizer within; the same parameters have to
            have one both times. It may reuse its arrays. It may not step, nor write to parameters:
            what it writes the second time is lost.
        grad_scale : float > 0
            Factor on every gradient.
        **options
            Those of ``step`` of the optimizer within; ``skip_nonfinite`` is always on.

        Returns
        -------
        StepInfo
            With ``loss``, that of the first evaluation; ``grad_norm`` is that of the second
            gradient. Where a loss or a gradient is not finite the step is skipped: parameters and
            state are what they were.

        Raises
        ------
        TypeError, ValueError
            If what the closure returns is not legal.
        RuntimeError
            If another step is running; the closure's own counts.

        Whatever is raised, also by the closure: the parameters are what they were, to the bit, or
        an interrupt came after the step, which then was taken whole.
        """
        kind = type(self).__name__
        check_callable("closure", closure, "that returns (loss, grads); it is called twice")
        grad_scale = check_grad_scale(grad_scale)
        return self._turn.during(f"{kind}.step()", self._step, closure, grad_scale, options)

    def _step(self, closure: Closure, grad_scale: float, options: dict[str, Any]) -> LossInfo:
        what, turn = f"{type(self).__name__}.step()", self._innermost._turn
        options |= {"grad_scale": grad_scale, "skip_nonfinite": True}
        loss, grads, info = turn.during(what, self._evaluate, closure, grad_scale, options)
        if grads is not None:
            info = self.optimizer.step(grads[0], **options)
        return LossInfo(info.grad_norm, info.skipped, loss)

    def _evaluate(
        self, closure: Closure, scale: float, options: dict[str, Any]
    ) -> tuple[float, list[Any] | None, StepInfo]:
        """The loss, and in a list the gradients of the worse point, for a step from the parameters,
        which are what they were; None where that has been taken or is skipped."""
        layout = self._innermost._layout
        loss, grads = returned_by(closure)
        leaves = tuple(layout.align(grads))
        layout.refresh()
        if self._ascent is None or self._ascent.made_for is not layout.table:
            self._ascent = Ascent(layout, self._eta is not None)
        ascent, members = self._ascent, members_of(leaves)
        rows, table = ascent.rows(layout, leaves, scale, self._rho, self._eta), ascent.table
        displaced: list[Copy] = []
        put_back = ascent.back(members, displaced)
        displaced.append(put_back)
        memory = ascent.held(members)  # nobody can resize it meanwhile
        try:
            if not finite(loss, ascent.climb(leaves, rows, scale)):
                return loss, None, SKIPPED
            with lent_at(f"{type(self).__name__}.step()", ascent.addresses):
                second_loss, grads = returned_by(closure)
                again = members_of(layout.align(grads))
                check_same_members(list(layout.params), members, again)
                if not finite(second_loss):
                    return loss, None, SKIPPED
                if is_plain(self.optimizer):
                    ascent.lead_back(layout, members, displaced)
                    return loss, None, ascent.within.step(grads, **options)
        finally:
            if displaced and table.kept_of is rows:
                put_back()
            displaced.clear()
            del memory
        return loss, [grads], SKIPPED

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"_ascent": None}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.optimizer!r}, rho={self.rho})"


class ASAM(SAM):
    """Adaptive sharpness-aware minimization: the neighbourhood is as wide as parameters are large.

    ::

        e ← ρ·T²·g(p)/(‖T·g(p)‖ + 1e-12),   T = |p| + η
        a step of the optimizer within on p, with g(p + e)

    Parameters
    ----------
    opt : Optimizer
        The optimizer within. Its attributes are those of the whole.
    rho : float ≥ 0
        The radius, in parts of the parameters' size. Default 0.5.
    eta : float ≥ 0
        What is added to the size of each element. With 0 what is zero stays so within e.
        Default 0.01.

    Notes
    -----
    State: as of :class:`SAM`.

    T is taken of all parameters, biases as well; the authors' published code adds η, and takes T,
    of weights only, and plain SAM of the rest. pytorch-optimizer's ``adaptive=True`` is η = 0.

    Kwon et al. 2021, "ASAM: Adaptive Sharpness-Aware Minimization for Scale-Invariant Learning of
    Deep Neural Networks", arXiv:2102.11600, equation 8.

    Examples
    --------
    >>> import numpy as np, gradstep as gs
    >>> w = np.array([3.0, 4.0])
    >>> opt = gs.ASAM(gs.SGD(w, lr=0.1), rho=0.5, eta=0.0)
    >>> info = opt.step(lambda: (0.5 * float(w @ w), w.copy()))
    >>> w.round(4), info.loss
    (array([2.6265, 3.4257]), 12.5)
    """

    def __init__(self, opt: Any, rho: float = 0.5, eta: float = 0.01) -> None:
        super().__init__(opt, rho)
        self.eta = eta

    @property
    def eta(self) -> float:
        """What is added to the size of each element."""
        assert self._eta is not None
        return self._eta

    @eta.setter
    def eta(self, value: float) -> None:
        self._eta = check_finite("eta", value, 0.0)

    def __repr__(self) -> str:
        return f"ASAM({self.optimizer!r}, rho={self.rho}, eta={self.eta})"


def check_same_members(names: Sequence[str], first: list[int], second: list[int]) -> None:
    """Raise a ValueError where other parameters have a gradient than the first time."""
    if first != second:
        others = [names[i] for i in sorted({*first} ^ {*second})]
        raise ValueError(
            "closure must give gradients for the same parameters both times it is evaluated; "
            f"{others} had one only once. Give None both times, or zeros"
        )
