"""Parameter groups: telling them from plain parameters, and lining their gradients up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from gradstep.arrays.structure import Align, Branch, Node, aligner, flatten_params, leaves


def split_groups(params: Any) -> tuple[bool, list[dict[str, Any]]]:
    """Whether `params` is a list of groups, and the groups.

    In each, ``"params"`` is a function of the group's number (None: it has none) that gives its
    structure and its named arrays.
    """
    if isinstance(params, Iterator):
        params = list(params)
    if not isinstance(params, (list, tuple)):
        return False, [{"params": partial(named_params, params)}]
    is_group = [isinstance(entry, Mapping) and "params" in entry for entry in params]
    if not any(is_group):
        return False, [{"params": partial(named_params, params)}]
    if not all(is_group):
        raise TypeError(
            f"groups[{is_group.index(False)}] has no 'params'; every group is a dict "
            '{"params": ..., "lr": ..., ...}'
        )
    return True, [{**group, "params": partial(named_params, group["params"])} for group in params]


def named_params(params: Any, group: int | None) -> tuple[Any, dict[str, Any]]:
    """Named by their dict's keys; without a dict, by the group's number too."""
    if isinstance(params, Iterator):
        params = list(params)
    prefix = "" if group is None or isinstance(params, Mapping) else str(group)
    return flatten_params(params, prefix)


def align_groups(structures: Sequence[Node], grouped: bool) -> Align:
    """A function that flattens the gradients of all groups, in order."""
    aligners = [aligner(structure) for structure in structures]
    if not grouped:
        return aligners[0]
    names = [name for structure in structures for name in leaves(structure)]
    all_named = all(isinstance(s, Branch) and s.keys is not None for s in structures)
    by_name = aligner(Branch("", tuple(names), tuple(names)))
    return partial(align_grouped, aligners, by_name if all_named else None)


def align_grouped(
    aligners: Sequence[Align], by_name: Callable[[Any], Sequence[Any]] | None, grads: Any
) -> Sequence[Any]:
    if by_name and isinstance(grads, Mapping):
        return by_name(grads)
    expected = f"a list with one entry for each of the {len(aligners)} groups"
    if by_name:
        expected += ", or one flat dict by name"
    if not isinstance(grads, (list, tuple)):
        raise TypeError(f"grads must be {expected}; got a {type(grads).__name__}")
    entries = tuple(grads)
    if len(entries) != len(aligners):
        raise ValueError(f"grads must be {expected}; got {len(entries)} entries")
    leaves = [tuple(align(entry)) for align, entry in zip(aligners, entries, strict=True)]
    return [leaf for of_group in leaves for leaf in of_group]
