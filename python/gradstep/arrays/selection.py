"""Groups picked out of one structure of parameters, by the names of the parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]
Which = str | Callable[[str, Array], bool]
Groups = Sequence[tuple[Which, Mapping[str, Any]]]
Picked = tuple[dict[str, Any], tuple[str, ...]]  # the options of a group, and its parameters

SHOWN = 12  # names in an error


def pick_groups(named: Mapping[str, Array], groups: Groups) -> list[Picked]:
    """The options and parameters of each of `groups`; of what none of them takes, last.

    A parameter belongs to the first that takes it.

    >>> from gradstep.arrays.selection import pick_groups
    >>> pick_groups({"in.W": ..., "in.b": ...}, [("b", {"weight_decay": 0})])
    [({'weight_decay': 0}, ('in.b',)), ({}, ('in.W',))]

    Raises
    ------
    TypeError, ValueError
        Where one of them is no such pair, or takes nothing.
    """
    if isinstance(groups, (str, Mapping)) or not isinstance(groups, Sequence):
        raise TypeError(
            f'groups must be a list of pairs, [("*.b", {{"weight_decay": 0}}), ...]; got {groups!r}'
        )
    left = dict(named)
    picked = []
    for i, pair in enumerate(groups):
        which, options = check_pair(i, pair)
        names = tuple(name for name, param in left.items() if takes(which, name, param))
        if not names:
            raise ValueError(nothing_taken(f"groups[{i}]", which, named, left))
        for name in names:
            del left[name]
        picked.append((dict(options), names))
    if left:
        picked.append(({}, tuple(left)))
    return picked


def check_pair(i: int, pair: Any) -> tuple[Which, Mapping[str, Any]]:
    if isinstance(pair, (tuple, list)) and len(pair) == 2:
        which, options = pair
        if (isinstance(which, str) or callable(which)) and isinstance(options, Mapping):
            return which, options
    raise TypeError(
        f"groups[{i}] must be a pair of a pattern, or a function of name and array, and a dict of "
        f'options, like ("*.b", {{"weight_decay": 0}}); got {pair!r}'
    )


def takes(which: Which, name: str, param: Array) -> bool:
    if not isinstance(which, str):
        return bool(which(name, param))
    return matches(which, name)


def matches(pattern: str, name: str) -> bool:
    """Whether `pattern` matches the end of the dotted path `name`.

    >>> [matches(p, "in.0.b") for p in ("b", "*.b", "0.b", "in.*", "[!W]", "0", ".b")]
    [True, True, True, True, True, False, True]
    >>> matches("*.b", "b")
    True
    """
    parts = name.split(".")
    ends = (".".join(parts[start:]) for start in range(len(parts)))
    return any(fnmatchcase(end, pattern) or fnmatchcase(f".{end}", pattern) for end in ends)


def nothing_taken(
    what: str, which: Which, named: Mapping[str, Array], left: Mapping[str, Array]
) -> str:
    shown = ", ".join(list(named)[:SHOWN]) + (", …" if len(named) > SHOWN else "")
    text = f"{what}: {which!r} matches none of the parameters {shown}"
    if any(takes(which, name, param) for name, param in named.items() if name not in left):
        text += " that the groups before it have left; a parameter goes to the first that matches"
    return text + ". Mend it, or leave it out."
