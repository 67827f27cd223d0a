"""Functions of hyperparameters that need no second look where they read no schedule."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

Value = TypeVar("Value")
Function = Callable[[Mapping[str, Any]], Value]


def settled(
    function: Function[Value], h: Mapping[str, Any], scheduled: set[str]
) -> Function[Value]:
    """`function` itself, or one that gives its value for `h` if it reads nothing `scheduled`."""
    reads = Reads(h)
    value = function(reads)
    return (lambda _: value) if reads.names.isdisjoint(scheduled) else function


class Reads(Mapping[str, Any]):
    """A mapping that remembers which of its entries were read."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self.names.add(name)
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)
