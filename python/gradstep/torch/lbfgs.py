"""torch.optim.LBFGS, with its recursion and its sums in our kernels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from operator import setitem
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.graph import increment_version

from gradstep.arrays.at_once import at_once
from gradstep.closures.info import ClosureInfo, NotFinite
from gradstep.closures.iterations import Iterations, Memory
from gradstep.closures.space import Slots, Space
from gradstep.optimizer.turn import Turn

DTYPES = (torch.float32, torch.float64)
SEARCHES = (None, "strong_wolfe")
OPTIONS = (
    "max_iter", "max_eval", "tolerance_grad", "tolerance_change", "history_size", "line_search_fn",
)  # fmt: skip


class TensorSpace(Space):
    """Vectors that are flat tensors, laid out as torch.optim.LBFGS has them."""

    def __init__(self, params: Sequence[Tensor]) -> None:
        super().__init__({str(i): param.detach().numpy() for i, param in enumerate(params)})
        self._of, self._addresses = list(params), addresses(params)
        self._dtype = params[0].dtype
        ends = np.cumsum([0, *(param.nbytes for param in self._arrays)]).tolist()
        self._offsets, self._bytes = ends[:-1], ends[-1]
        self.tensors: list[Tensor] = []
        self.numbers: dict[int, int] = {}

    def is_of(self, params: Sequence[Tensor]) -> bool:
        same = len(params) == len(self._of) and all(map(Tensor.is_set_to, params, self._of))
        return same and addresses(params) == self._addresses

    def knows(self, tensors: Sequence[Tensor]) -> bool:
        return all(id(tensor) in self.numbers for tensor in tensors)

    def fits(self, tensor: Any) -> bool:
        """Whether it can be one of the vectors."""
        size = sum(param.numel() for param in self._of)
        return (
            isinstance(tensor, Tensor)
            and (tensor.dtype, tensor.device.type) == (self._dtype, "cpu")
            and tensor.shape == (size,)
            and tensor.is_contiguous()
        )

    def add(self) -> int:
        return self.adopt(torch.zeros(sum(p.numel() for p in self._of), dtype=self._dtype))

    def adopt(self, tensor: Tensor) -> int:
        memory, number = tensor.numpy().view(np.uint8), len(self.tensors)
        at_once(
            [
                partial(self.engine.add_memory, memory),
                partial(self._memory.append, memory),
                partial(self.tensors.append, tensor),
                partial(self.numbers.__setitem__, id(tensor), number),
            ]
        )()
        return number

    def check(self) -> None:
        super().check()
        if addresses(self._of) != self._addresses:
            raise RuntimeError(
                "a parameter has been moved to other memory within a step of LBFGS; move "
                "parameters (param.data = ...) between steps"
            )

    def save(self, to: int) -> None:
        self.check()
        super().save(to)

    def move(self, x: int, t: float, d: int) -> None:
        self.check()
        super().move(x, t, d)


class LBFGS(torch.optim.LBFGS):
    """L-BFGS: torch.optim.LBFGS on gradstep's kernels.

    Options, state, iterations and results are those of ``torch.optim.LBFGS``, to the last bits of
    sums, which are in float64 here. A step whose closure raises, or that comes to losses or
    gradients which are not finite, leaves parameters and state as they were. Parameters that the
    kernels do not take (other devices, dtypes and layouts) are stepped by torch's own code.

    Notes
    -----
    State: as that of ``torch.optim.LBFGS``, in ``opt.state`` of the first parameter.

    Source: Nocedal & Wright 2006, *Numerical Optimization*, Algorithms 7.4, 7.5, 3.5 and 3.6.

    Examples
    --------
    >>> import torch
    >>> from gradstep.torch import LBFGS
    >>> w = torch.ones(2, requires_grad=True)
    >>> opt = LBFGS([w], line_search_fn="strong_wolfe")
    >>> def closure():
    ...     opt.zero_grad()
    ...     loss = w[0] ** 2 + 8 * w[1] ** 2
    ...     loss.backward()
    ...     return loss
    >>> opt.step(closure).item(), bool(closure() < 1e-9)
    (9.0, True)
    """

    #: What the last step did; None where torch's own code took it. ``last_info.skipped``: it was
    #: undone, as losses or gradients were not finite.
    last_info: ClosureInfo | None = None

    def step(self, closure: Callable[[], Any]) -> Any:
        """Iterate as torch.optim.LBFGS does, and return the loss from before."""
        turn: Turn = self.__dict__.setdefault("_turn", Turn())
        with torch.no_grad():
            return turn.during("step()", self._step, closure)

    def _step(self, closure: Callable[[], Any]) -> Any:
        params = self.param_groups[0]["params"] if len(self.param_groups) == 1 else []
        group = self.param_groups[0]
        state = self.state[params[0]] if params else {}
        held, space = self._space_of(params, state) if takes(group) else (None, None)
        if space is None:
            self.last_info = None
            return torch_step()(self, closure)
        memory = recalled(space, state)
        slots = Slots(space, memory.vectors())
        before, evaluate = slots.take(), Evaluate(params, closure)
        options = {name: group[name] for name in OPTIONS} | {"maximize": False}
        run = TensorIterations(space, slots, memory, options, evaluate, evaluate.align, None)
        space.save(before)
        done: list[None] = []
        try:
            new, info = run.run(float(group["lr"]))
            state_change = remembered(space, state, memory, new, options["history_size"])
            remember = partial(state.update, state_change)
            inform = partial(setitem, self.__dict__, "last_info", info)
            at_once([remember, inform, partial(done.append, None)])()
        except BaseException as error:
            if not done:
                space.check()
                space.engine.restore(before)
            if not isinstance(error, NotFinite):
                raise
            self.last_info = run.undone()
        finally:
            increment_version(params)
        del held
        return evaluate.first

    def _space_of(self, params: list[Tensor], state: Mapping[str, Any]) -> tuple[Any, Any]:
        """The vectors over these parameters that hold this state; None where there can be none."""
        if not readable(params):
            return None, None
        space: TensorSpace | None = self.__dict__.get("_space")
        vectors = list(vectors_of(state))
        if space is None or not space.is_of(params) or not space.knows(vectors):
            space = TensorSpace(params)
            if not all(map(space.fits, vectors)):
                return None, None
            held = space.begin()
            for vector in vectors:
                space.adopt(vector)
            self._space = space
            return held, space
        return space.begin(), space


class TensorIterations(Iterations):
    """Those that take a parameter without a gradient for one whose gradient is zero."""

    def _check_present(self, leaves: Sequence[Any]) -> None:
        pass


class Evaluate:
    """A closure of torch's as one that returns the loss and arrays."""

    def __init__(self, params: list[Tensor], closure: Callable[[], Any]) -> None:
        self._params, self._closure = params, torch.enable_grad()(closure)
        self.first: Any = None
        self._begun = False

    def __call__(self) -> tuple[float, list[Any]]:
        increment_version(self._params)
        loss = self._closure()
        if not self._begun:
            self.first, self._begun = loss, True
        number = float(loss.detach() if isinstance(loss, Tensor) else loss)
        return number, [array_of(param) for param in self._params]

    def align(self, grads: list[Any]) -> list[Any]:
        return grads


def array_of(param: Tensor) -> Any:
    """The gradient, if there is one, as an array."""
    grad = param.grad
    if grad is None:
        return None
    grad = grad.detach()
    if grad.is_sparse:
        grad = grad.to_dense()
    return grad.resolve_neg().contiguous().numpy()


def addresses(params: Sequence[Tensor]) -> list[int]:
    return [param.data_ptr() for param in params]


def takes(group: Mapping[str, Any]) -> bool:
    """Whether these options are ours, too."""
    counts = (group[name] for name in ("max_iter", "max_eval", "history_size"))
    return (
        group["line_search_fn"] in SEARCHES
        and all(count >= 1 for count in counts)
        and group["tolerance_grad"] >= 0
    )


def readable(params: Sequence[Tensor]) -> bool:
    """Whether the kernels can step these parameters."""
    return bool(params) and all(
        type(param) in (Tensor, torch.nn.Parameter)
        and param.device.type == "cpu"
        and param.layout is torch.strided
        and param.dtype in DTYPES
        and param.dtype == params[0].dtype
        and param.is_contiguous()
        and not param.is_neg()
        for param in params
    )


def vectors_of(state: Mapping[str, Any]) -> Iterator[Any]:
    if state.get("d") is not None:
        yield from (state["d"], state["prev_flat_grad"], *state["old_dirs"], *state["old_stps"])


def recalled(space: TensorSpace, state: Mapping[str, Any]) -> Memory:
    counts = {"iterations": state.get("n_iter", 0), "evaluations": state.get("func_evals", 0)}
    if state.get("d") is None:
        return Memory(**counts, absent=())
    numbers = space.numbers
    kept = zip(state["old_stps"], state["old_dirs"], state["ro"], strict=True)
    return Memory(
        **counts,
        absent=(),
        pairs=tuple((numbers[id(s)], numbers[id(y)], float(rho)) for s, y, rho in kept),
        scale=float(state["H_diag"]),
        t=float(state["t"]),
        d=numbers[id(state["d"])],
        gradient=numbers[id(state["prev_flat_grad"])],
        loss=float(state.get("prev_loss") or 0.0),
    )


def remembered(
    space: TensorSpace, state: Mapping[str, Any], before: Memory, new: Memory, history: int
) -> dict[str, Any]:
    """What changes of a state."""
    counts = {"func_evals": new.evaluations, "n_iter": new.iterations}
    if new.iterations == before.iterations:
        return counts
    assert new.d is not None
    assert new.gradient is not None
    tensors, al = space.tensors, state.get("al") or []  # torch's scratch, which it makes once
    return counts | {
        "d": tensors[new.d],
        "t": new.t,
        "old_dirs": [tensors[y] for _, y, _ in new.pairs],
        "old_stps": [tensors[s] for s, _, _ in new.pairs],
        "ro": [rho for _, _, rho in new.pairs],
        "H_diag": new.scale,
        "prev_flat_grad": tensors[new.gradient],
        "prev_loss": new.loss,
        "al": [*al, *[None] * (history - len(al))],
    }


def torch_step() -> Any:
    """torch's own, without the hooks that are ours by now."""
    step: Any = torch.optim.LBFGS.step
    while getattr(step, "hooked", False):
        step = step.__wrapped__
    return step
