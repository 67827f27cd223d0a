"""Who is in a group: parameters' names, and who has taken as many steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray
from torch import Tensor

from gradstep.optimizer.cohorts import Cohort, regroup
from gradstep.torch.sharding import local_of
from gradstep.torch.tensors import check_tensor

Array = NDArray[Any]


def can_be_stepped(param: Tensor) -> bool:
    try:
        check_tensor("", local_of(param))
    except (TypeError, ValueError):
        return False
    return True


def names_of(groups: Sequence[Mapping[str, Any]], params: Sequence[Tensor]) -> list[str]:
    """Those that were given, where they differ, or the parameters' numbers."""
    given: dict[Tensor, str] = {}
    for group in groups:
        given |= dict(zip(group["params"], group.get("param_names", ()), strict=False))
    names = [given.get(param, str(i)) for i, param in enumerate(params)]
    return names if len(set(names)) == len(names) else [str(i) for i in range(len(params))]


def members_of(
    groups: Sequence[Mapping[str, Any]], names: Mapping[Tensor, str], arrays: Mapping[str, Array]
) -> list[dict[str, Array]]:
    """The arrays of each group by name; what is given twice belongs to the first."""
    members: list[dict[str, Array]] = []
    taken: set[str] = set()
    for group in groups:
        own = [names[p] for p in group["params"]]
        members.append({n: arrays[n] for n in own if n in arrays and n not in taken})
        taken.update(own)
    return members


def cohorts_of(
    members: Sequence[Mapping[str, Array]], names: Sequence[str], counts: Sequence[int], steps: int
) -> list[Cohort]:
    positions = {name: i for i, name in enumerate(names)}
    return regroup(
        (positions[name], place, steps - counts[positions[name]])
        for place, own in enumerate(members)
        for name in own
    )
