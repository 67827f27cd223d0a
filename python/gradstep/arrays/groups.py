"""Parameter groups: telling them from plain parameters, and lining their gradients up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.arrays.parameters import check_param
from gradstep.arrays.structure import (
    Align,
    Branch,
    Node,
    aligner,
    flatten_params,
    leaves,
    what_came,
)
from gradstep.values import reads_as_float

Array = NDArray[Any]


def split_groups(params: Any) -> tuple[bool, list[dict[str, Any]]]:
    """Whether `params` is a list of groups, and the groups.

    In each, ``"params"`` is a function of the group's number (None: it has none) that gives its
    structure and its named arrays.
    """
    if isinstance(params, Iterator):
        params = list(params)
    if not isinstance(params, (list, tuple)):
        refuse_lone_group(params)
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


def refuse_lone_group(params: Any) -> None:
    """Raise a TypeError for a group outside a list: options are no parameters."""
    if not isinstance(params, Mapping) or "params" not in params:
        return
    options = [key for key, value in params.items() if key != "params" and is_option(value)]
    if options:
        raise TypeError(
            f"params is a dict with 'params' and {', '.join(map(repr, options))}: a group, which "
            'belongs into a list, [{"params": ..., "lr": ..., ...}]; or give the options by name: '
            f"(params, {options[0]}=...)"
        )


def is_option(value: Any) -> bool:
    """Whether it can be a hyperparameter's value, and no parameter's."""
    if isinstance(value, (tuple, list)):
        return bool(value) and all(map(is_option, value))
    if value is None or isinstance(value, (bool, str)):
        return True
    if callable(value) and not hasattr(value, "__array__"):
        return True
    return reads_as_float(value) and not isinstance(value, np.ndarray)


def named_params(params: Any, group: int | None) -> tuple[Any, dict[str, Any]]:
    """Named by their dict's keys; without a dict, by the group's number too."""
    if isinstance(params, Iterator):
        params = list(params)
    prefix = "" if group is None or isinstance(params, Mapping) else str(group)
    return flatten_params(params, prefix)


def named_arrays(params: Any) -> dict[str, Array]:
    """The arrays of parameters in any form that an optimizer takes, by name."""
    grouped, groups = split_groups(params)
    arrays: dict[str, Array] = {}
    for index, group in enumerate(groups):
        of_group = group["params"](index if grouped else None)[1]
        if repeated := sorted(arrays.keys() & of_group.keys()):
            raise ValueError(
                f"two groups have parameters named {repeated}; rename some of their dict keys"
            )
        arrays |= plain_arrays(of_group)
    return arrays


def plain_arrays(given: Mapping[str, Any]) -> dict[str, Array]:
    """Parameters as plain ndarrays on the same memory."""
    return {name: check_param(name, array) for name, array in given.items()}


def align_groups(structures: Sequence[Node], grouped: bool) -> Align:
    """A function that flattens the gradients of all groups, in order."""
    aligners = [aligner(structure) for structure in structures]
    if not grouped:
        return aligners[0]
    names = [name for structure in structures for name in leaves(structure)]
    return partial(align_grouped, aligners, aligner(Branch("", tuple(names), tuple(names))))


def align_grouped(
    aligners: Sequence[Align], by_name: Callable[[Any], Sequence[Any]], grads: Any
) -> Sequence[Any]:
    if isinstance(grads, Mapping):
        return by_name(grads)
    groups = f"each of the {len(aligners)} groups" if len(aligners) > 1 else "the group"
    expected = f"a list with one entry for {groups}, or one flat dict by name"
    if not isinstance(grads, (list, tuple)):
        raise TypeError(f"grads must be {expected}; {what_came(grads)}")
    entries = tuple(grads)
    if len(entries) != len(aligners):
        raise ValueError(f"grads must be {expected}; got {len(entries)} entries")
    leaves = [tuple(align(entry)) for align, entry in zip(aligners, entries, strict=True)]
    return [leaf for of_group in leaves for leaf in of_group]
