"""Steps of optimizers over tensors that start where parameters were, which are elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from numpy.typing import NDArray
from torch import Tensor

from gradstep.torch.front import Optimizer
from gradstep.torch.hooks import is_watched
from gradstep.torch.stepping import take
from gradstep.torch.watch import Moved, look_at

Array = NDArray[Any]


def is_plain(opt: Any) -> bool:
    """Whether its steps are those of every optimizer of ours, and nothing else."""
    return (
        isinstance(opt, Optimizer)
        and (type(opt).step, type(opt)._step) == (Optimizer.step, Optimizer._step)
        and "step" not in vars(opt)
        and not is_watched(opt)
    )


def step_from(
    opt: Optimizer, bits: Mapping[Tensor, Array], displaced: list[Callable[[], object]]
) -> None:
    """A step of a plain optimizer, whose turn the caller has, from these bits of parameters.

    ``displaced`` as for ``ParamTable.start_from``.
    """
    if (before := opt._holding) is None:
        displaced[0]()
    else:
        before.displaced = displaced
    holding = opt._in_line()
    places = {holding.place_of(param): array for param, array in bits.items()}
    if displaced and (None in places or holding.spread.distributed):
        displaced[0]()
    if displaced:
        numbers = range(len(holding.tensors))
        holding.table.start_from([places.get(i) for i in numbers], displaced)
    try:
        info = take(holding, opt.__dict__)
    except Moved:
        info = opt._taken_anew()
    opt.__dict__["last_info"] = info


def check_same(
    first: Sequence[Tensor], second: Sequence[Tensor], live: Sequence[Tensor], looks: Sequence[Any]
) -> None:
    """Raise an error where other parameters have a gradient than the first time, or these tensors
    other memory."""
    if [*map(look_at, live)] != looks:
        raise RuntimeError(
            "closure gave parameters other memory, or another shape or dtype, and they keep "
            "it; do so before or after the step"
        )
    if [*map(id, second)] != [*map(id, first)]:
        raise ValueError(
            "closure must give gradients to the same parameters both times it is evaluated; "
            f"there were {len(first)} with one, and then {len(second)}. Freeze parameters "
            "before the step"
        )
