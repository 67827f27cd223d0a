"""torch.optim.LBFGS, with its recursion and its sums in our kernels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from operator import setitem
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import increment_version

from gradstep.arrays.at_once import at_once, attribute
from gradstep.closures.info import ClosureInfo, NotFinite
from gradstep.closures.iterations import Iterations, Memory, Pair
from gradstep.closures.space import Slots
from gradstep.optimizer.turn import Turn
from gradstep.torch.tensor_space import TensorSpace
from gradstep.torch.tensors import has_memory

DTYPES = (torch.float32, torch.float64)
SEARCHES = (None, "strong_wolfe")
OPTIONS = (
    "max_iter", "max_eval", "tolerance_grad", "tolerance_change", "history_size", "line_search_fn",
)  # fmt: skip


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
        with torch.no_grad():
            return self._alone("step()", self._step, closure)

    def load_state_dict(self, state_dict: Any) -> None:
        """As torch.optim.LBFGS does; a RuntimeError within a step."""
        self._alone("load_state_dict()", super().load_state_dict, state_dict)

    def _alone(self, what: str, act: Callable[..., Any], *args: Any) -> Any:
        turn: Turn = self.__dict__.setdefault("_turn", Turn())
        return turn.during(what, act, *args)

    def _step(self, closure: Callable[[], Any]) -> Any:
        group = self.param_groups[0]
        params = list(group["params"]) if len(self.param_groups) == 1 else []
        state = self.state[params[0]] if params else {}
        held, space = self._space_of(params, state) if takes(group) else (None, None)
        if space is None:
            self.last_info = None
            lengthen(state, group["history_size"])
            return torch_step()(self, closure)
        memory = recalled(space, state)
        slots = Slots(space, memory.vectors() | {space.before})
        check = partial(self._check, space, params, state)
        evaluate = Evaluate(params, closure, check)
        options = {name: group[name] for name in OPTIONS} | {"maximize": False}
        run = TensorIterations(space, slots, memory, options, evaluate, evaluate.align, None)
        space.save(space.before)
        put_back = space.restoring()
        done: list[None] = []
        try:
            new, info = run.run(float(group["lr"]))
            state_change = remembered(space, state, memory, new, options["history_size"])
            remember = partial(state.update, state_change)
            inform = partial(setitem, self.__dict__, "last_info", info)
            keep = attribute(space, "pairs", new.pairs)
            at_once([remember, keep, inform, partial(done.append, None)])()
        except BaseException as error:
            if not done:
                put_back()
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
        vectors = dict(vectors_of(state))
        known = list(vectors.values())
        if space is None or not space.is_of(params) or not space.knows(known):
            space = TensorSpace(params)
            if not all(map(space.fits, known)):
                return None, None
            held = space.begin()
            space.adopt_state(vectors)
            self._space = space
            return held, space
        return space.begin(), space

    def _check(self, space: TensorSpace, params: list[Tensor], state: object) -> None:
        """Raise an error where a closure has changed what the step works on."""
        groups = self.param_groups
        now = groups[0]["params"] if len(groups) == 1 else []
        if [*map(id, now)] != [*map(id, params)]:
            raise RuntimeError(
                f"param_groups[0]['params'] had {len(params)} parameters and was changed within a "
                "step of LBFGS, by the closure; change it between steps"
            )
        if self.state.get(params[0]) is not state:
            raise RuntimeError(
                "opt.state was replaced within a step of LBFGS, by the closure; do so between steps"
            )
        space.check()


class TensorIterations(Iterations):
    """Those that take a parameter without a gradient for one whose gradient is zero."""

    def _check_present(self, leaves: Sequence[Any]) -> None:
        pass


class Evaluate:
    """A closure of torch's as one that returns the loss and arrays."""

    def __init__(
        self, params: list[Tensor], closure: Callable[[], Any], check: Callable[[], None]
    ) -> None:
        self._params, self._closure, self._check = params, torch.enable_grad()(closure), check
        self.first: Any = None
        self._begun = False

    def __call__(self) -> tuple[float, list[Any]]:
        increment_version(self._params)
        loss = self._closure()
        if not self._begun:
            self.first, self._begun = loss, True
        number = float(loss.detach() if isinstance(loss, Tensor) else loss)
        grads = [array_of(param) for param in self._params]
        self._check()  # when no code of anybody else's runs any more
        return number, grads

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
    if not has_memory(grad):
        raise ValueError(
            f"a gradient of shape {tuple(grad.shape)} has no memory, as its storage was freed; let "
            "the closure compute it anew"
        )
    return grad.resolve_neg().contiguous().numpy()


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


def vectors_of(state: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """With what errors call them."""
    if state.get("d") is not None:
        for entry in ("d", "prev_flat_grad"):
            yield f"state[{entry!r}]", state[entry]
        for entry in ("old_dirs", "old_stps"):
            yield from ((f"state[{entry!r}][{i}]", each) for i, each in enumerate(state[entry]))


def recalled(space: TensorSpace, state: Mapping[str, Any]) -> Memory:
    counts = {"iterations": state.get("n_iter", 0), "evaluations": state.get("func_evals", 0)}
    if state.get("d") is None:
        return Memory(**counts, absent=())
    numbers = space.numbers
    kept = zip(state["old_stps"], state["old_dirs"], state["ro"], strict=True)
    pairs = tuple(Pair(numbers[id(s)], numbers[id(y)], float(rho)) for s, y, rho in kept)
    if [pair[:2] for pair in pairs] == [pair[:2] for pair in space.pairs]:
        known = zip(pairs, space.pairs, strict=True)
        pairs = tuple(pair._replace(products=before.products) for pair, before in known)
    return Memory(
        **counts,
        absent=(),
        pairs=pairs,
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
    tensors = space.tensors
    return counts | {
        "d": tensors[new.d],
        "t": new.t,
        "old_dirs": [tensors[pair.y] for pair in new.pairs],
        "old_stps": [tensors[pair.s] for pair in new.pairs],
        "ro": [pair.rho for pair in new.pairs],
        "H_diag": new.scale,
        "prev_flat_grad": tensors[new.gradient],
        "prev_loss": new.loss,
        "al": scratch(state, history),
    }


def scratch(state: Mapping[str, Any], history: int) -> list[Any]:
    """That of torch's own code, which makes it once and indexes it by pairs."""
    al = state.get("al") or []
    return [*al, *[None] * (history - len(al))]


def lengthen(state: Any, history: int) -> None:
    """For torch's own code, where the history has become longer."""
    if "al" in state:
        state["al"] = scratch(state, history)


def torch_step() -> Any:
    """torch's own, without the hooks that are ours by now."""
    step: Any = torch.optim.LBFGS.step
    while getattr(step, "hooked", False):
        step = step.__wrapped__
    return step
