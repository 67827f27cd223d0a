"""Sharpness-aware minimization around optimizers over tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import increment_version

from gradstep import runtime
from gradstep.around.ascent import EPS, beside, finite
from gradstep.around.info import LossInfo
from gradstep.around.slow import NO_AVERAGE, NO_LIMITS, NO_PENALTIES
from gradstep.arrays.at_once import at_once, filled
from gradstep.arrays.memory import bits_of
from gradstep.optimizer.step_info import StepInfo
from gradstep.torch.around import Around, take
from gradstep.torch.hooks import hooked, is_watched
from gradstep.torch.restoring import put_back
from gradstep.torch.starting import check_same, is_plain, step_from
from gradstep.torch.sums import norm_of
from gradstep.torch.tensors import array_of, check_tensor
from gradstep.torch.watch import look_at
from gradstep.values import check_finite, shown

Closure = Callable[[], Any]


class SAM(Around):
    """Sharpness-aware minimization around any optimizer: it seeks wide valleys.

    ::

        e ← ρ·g(p)/(‖g(p)‖ + 1e-12);   a step of the optimizer within on p, with g(p + e)

    Parameters
    ----------
    opt : torch.optim.Optimizer
        gradstep's or another one, over tensors on the CPU. Groups and state are shared with it.
    rho : float ≥ 0
        The radius of the neighbourhood, in the units of the parameters. Default 0.05.

    Notes
    -----
    State: that of the optimizer within. Beside it one array like each parameter is held, in which
    the parameters are kept during the second evaluation; they are put back to the bit.

    Layers that keep running statistics see both evaluations. ``last_info`` has the norm of the
    second gradient, whether the step was skipped, and the first loss as a number.

    Foret et al. 2021, "Sharpness-Aware Minimization for Efficiently Improving Generalization",
    arXiv:2010.01412, Algorithm 1.

    Examples
    --------
    >>> import torch
    >>> from gradstep.torch import SAM, SGD
    >>> w = torch.nn.Parameter(torch.tensor([3.0, 4.0]))
    >>> opt = SAM(SGD([w], lr=0.1), rho=0.5)
    >>> def closure():
    ...     opt.zero_grad()
    ...     loss = 0.5 * (w @ w)
    ...     loss.backward()
    ...     return loss
    >>> opt.step(closure).item(), w.data
    (12.5, tensor([2.6700, 3.5600]))
    """

    last_info: StepInfo | None
    _eta: float | None = None

    def __init__(self, opt: Any, rho: float = 0.05) -> None:
        super().__init__(opt)
        self.rho = check_finite("rho", rho, 0.0)
        self.last_info = None  # of the last step
        self._kept: dict[Tensor, tuple[Any, Any, Any]] = {}  # looks, live bits and kept ones

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("rho", "eta"):
            value = check_finite(name, value, 0.0)
        super().__setattr__(name, value)

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"_kept": {}}

    def step(self, closure: Closure | None = None) -> Any:
        """Evaluate the closure here and at the worse point, and step with the second gradient.

        Parameters
        ----------
        closure : function of nothing
            It lets go of gradients, computes the loss and new ones, and returns the loss; the same
            parameters have to have a gradient both times. It may not step.

        Returns
        -------
        Tensor or number
            The loss of the first evaluation. Where a loss or a gradient is not finite the step is
            skipped, see ``last_info``: parameters and state are what they were.

        Raises
        ------
        TypeError, ValueError
            If what the closure returns or computes is not legal.
        RuntimeError
            If another step is running; the closure's own counts. If the closure has given
            parameters other memory.

        Whatever is raised, also by the closure: the parameters are what they were, to the bit, or
        an interrupt or a hook came after the step, which then was taken whole.
        """
        if is_watched(self):
            return hooked(self, self._in_turn, closure)
        return self._in_turn(closure)

    # So that torch.optim does not wrap it: hooks and the profiler's record are honoured above.
    step.hooked = True  # type: ignore[attr-defined]

    def _in_turn(self, closure: Closure | None = None) -> Any:
        kind = type(self).__name__
        if not callable(closure):
            raise TypeError(
                f"closure must be a function that returns the loss, got {shown(closure)}; {kind} "
                "evaluates it twice, the second time at other parameters: opt.step(closure)"
            )
        return self._turn.during(f"{kind}.step()", self._step, closure)

    def _step(self, closure: Closure) -> Any:
        turn, what = getattr(self._innermost, "_turn", None), f"{type(self).__name__}.step()"
        if turn is None:  # PyTorch's own, which a closure could step
            loss, value, norm, stepped = self._evaluate(closure)
        else:
            loss, value, norm, stepped = turn.during(what, self._evaluate, closure)
        info: StepInfo = LossInfo(None, True, value)
        if norm is not None:
            if not stepped:
                self.optimizer.step()
            within = getattr(self.optimizer, "last_info", None)
            info = LossInfo(norm, within is not None and within.skipped, value)
        self.__dict__["last_info"] = info
        return loss

    def _evaluate(self, closure: Closure) -> tuple[Any, float, float | None, bool]:
        """The loss, that as a number, and the norm of the second gradient; None where something is
        not finite. And whether the step has been taken; else parameters are what they were."""
        loss, value = evaluated(closure)
        self._check_whole()
        members = self._with_gradient()
        looks = self._looks_at(members)
        if self._eta is None:
            norm = norm_of([param.grad for param in members])
            if not finite(value, norm):
                return loss, value, None, False
            own = {"lr": -self.rho / (norm + EPS)}
        else:
            own = {"rho": self.rho, "eta": self._eta}
        return loss, value, *self._at_worse(closure, members, looks, own, value)

    def _with_gradient(self) -> list[Tensor]:
        return [p for p in dict.fromkeys(self._params()) if p.grad is not None]

    def _at_worse(
        self, closure: Closure, members: list[Tensor], looks: list[Any], own: Any, value: float
    ) -> tuple[float | None, bool]:
        """The norm of the gradient there, or None; and whether the step has been taken."""
        live, moved = self._live(members), list[Callable[[], object]]()
        back = at_once([self._back(live), partial(moved.clear)])
        done = partial(moved.append, back)
        storages = [tensor.untyped_storage() for tensor in live]  # kept from going away
        try:
            if not finite(value, *self._climb(members, own, done)):
                return None, False
            _, second = evaluated(closure)
            check_same(members, self._with_gradient(), live, looks)
            norm = norm_of([param.grad for param in members])
            if not finite(second, norm):
                return None, False
            if plain := is_plain(self.optimizer):
                step_from(self.optimizer, {p: self._kept[p][2] for p in members}, moved)
        finally:
            if moved:
                back()
                increment_version(live)
            del storages
        return norm, plain

    def _climb(self, members: list[Tensor], own: Any, done: partial[None]) -> Sequence[float]:
        """Keep the parameters and go there, and then call `done`, at once; the norm by size."""
        grads, copies = [param.grad for param in members], self._copies_of(members)
        pairs = zip(members, copies, strict=True)
        kept = [[self._kept[t][2] for t in pair if t is not None] for pair in pairs]
        now = [self._kept[t][1] for t in self._live(members)]
        keep = at_once([*map(filled, chain(*kept), now), done])
        limits = [(sign, *NO_LIMITS[1:]) for sign in (1.0, -1.0)]
        rows: list[Any] = [((each, NO_PENALTIES, NO_AVERAGE, own), {}) for each in limits]
        down = {p for g in self.param_groups if g.get("maximize") for p in g["params"]}
        row_of = [int(param in down) for param in members]
        rule = "sgd" if self._eta is None else "asam"
        return take(rule, members, grads, {}, copies, rows, row_of, done, kept, keep)

    def _live(self, members: Sequence[Tensor]) -> list[Tensor]:
        """These parameters and their copies."""
        pairs = zip(members, self._copies_of(members), strict=True)
        return [tensor for pair in pairs for tensor in pair if tensor is not None]

    def _looks_at(self, members: Sequence[Tensor]) -> list[Any]:
        """How these parameters and their copies look; what keeps them is made where it is new."""
        looks = []
        for i, tensor in enumerate(self._live(members)):
            look, known = look_at(tensor), self._kept.get(tensor)
            if known is None or known[0] != look:
                check_tensor(f"parameter {i}", tensor)
                bits = bits_of(array_of(tensor))
                self._kept[tensor] = look, bits, beside(bits)
            looks.append(look)
        return looks

    def _back(self, live: Sequence[Tensor]) -> partial[Any]:
        """What puts back the bits of these tensors where they still are on that memory: a call of C
        code."""
        now, kept = ([self._kept[tensor][i] for tensor in live] for i in (1, 2))
        native = runtime.native()
        copy = native and partial(native.copy_arrays, threads=torch.get_num_threads())
        return put_back(live, now, kept, copy)


class ASAM(SAM):
    """Adaptive sharpness-aware minimization: the neighbourhood is as wide as parameters are large.

    ::

        e ← ρ·T²·g(p)/(‖T·g(p)‖ + 1e-12),   T = |p| + η
        a step of the optimizer within on p, with g(p + e)

    Parameters
    ----------
    opt : torch.optim.Optimizer
        gradstep's or another one, over tensors on the CPU. Groups and state are shared with it.
    rho : float ≥ 0
        The radius, in parts of the parameters' size. Default 0.5.
    eta : float ≥ 0
        What is added to the size of each element. Default 0.01.

    Notes
    -----
    State: as of :class:`SAM`.

    T is taken of all parameters, biases as well; the authors' published code adds η, and takes T,
    of weights only, and plain SAM of the rest. pytorch-optimizer's ``adaptive=True`` is η = 0.

    Kwon et al. 2021, "ASAM: Adaptive Sharpness-Aware Minimization for Scale-Invariant Learning of
    Deep Neural Networks", arXiv:2102.11600, equation 8.

    Examples
    --------
    >>> import torch
    >>> from gradstep.torch import ASAM, SGD
    >>> w = torch.nn.Parameter(torch.tensor([3.0, 4.0]))
    >>> opt = ASAM(SGD([w], lr=0.1), rho=0.5, eta=0.0)
    >>> def closure():
    ...     opt.zero_grad()
    ...     loss = 0.5 * (w @ w)
    ...     loss.backward()
    ...     return loss
    >>> opt.step(closure).item(), w.data
    (12.5, tensor([2.6265, 3.4257]))
    """

    def __init__(self, opt: Any, rho: float = 0.5, eta: float = 0.01) -> None:
        super().__init__(opt, rho)
        self._eta = check_finite("eta", eta, 0.0)

    @property
    def eta(self) -> float:
        """What is added to the size of each element."""
        assert self._eta is not None
        return self._eta

    @eta.setter
    def eta(self, value: float) -> None:
        self._eta = value


def evaluated(closure: Closure) -> tuple[Any, float]:
    """The loss as the closure returns it, and as a number."""
    with torch.enable_grad():
        loss = closure()
    if isinstance(loss, Tensor) and loss.numel() == 1 and not loss.is_complex():
        return loss, float(loss.detach())
    if isinstance(loss, (int, float)) and not isinstance(loss, bool):
        return loss, float(loss)
    raise TypeError(
        f"closure must return the loss, a number or a tensor with one element; got {shown(loss)}"
    )
