"""The parameters of all ranks together: their structure, and gradients lined up with it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.arrays.gradients import GradientReader
from gradstep.arrays.groups import align_groups, plain_arrays, split_groups
from gradstep.arrays.memory import address, flat, memory_order
from gradstep.arrays.parameters import check_disjoint, check_unchanged, check_writeable, look
from gradstep.arrays.stored import compute_dtype
from gradstep.arrays.structure import Node
from gradstep.reference.formats import beside

Array = NDArray[Any]


class Whole:
    """What every rank has in full: parameters, as an optimizer takes them."""

    def __init__(self, params: Any) -> None:
        self.grouped, self._entries = split_groups(params)
        self._structures: list[Node] = []
        self._named: list[dict[str, Array]] = []  # of each entry
        self.params: dict[str, Array] = {}
        for entry in self._entries:
            self._add(entry)
        if not self.params:
            raise ValueError("params holds no parameters; give at least one array")
        check_disjoint(self.params)
        self.names = list(self.params)
        self.places = {name: i for i, name in enumerate(self.names)}
        self.arrays = list(self.params.values())
        self.dtypes = [compute_dtype(param) for param in self.arrays]
        memory = sorted((address(p), address(p) + p.nbytes) for p in self.arrays if p.size)
        self._starts, self._ends = [m[0] for m in memory], [m[1] for m in memory]
        self._align = align_groups(self._structures, self.grouped)
        self._shapes = [(param, param.shape) for param in self.arrays]
        self._seen = {name: look(param) for name, param in self.params.items()}
        nothing: list[Mapping[str, Array]] = [{} for _ in self.names]
        self._read = GradientReader(self.params, self._seen, nothing)

    def _add(self, entry: Mapping[str, Any]) -> None:
        if entry.get("copies") is not None:
            raise TypeError("Sharded keeps no copies of parameters; leave copies= out")
        structure, named = entry["params"](len(self._structures) if self.grouped else None)
        if repeated := sorted(self.params.keys() & named.keys()):
            raise ValueError(
                f"two groups have parameters named {repeated}; rename some of their dict keys"
            )
        self._structures.append(structure)
        self._named.append(plain_arrays(named))
        self.params |= self._named[-1]

    def like(self, arrays: Mapping[str, Array]) -> Any:
        """These arrays by name in the place of the parameters, in the same groups."""
        if not self.grouped:
            return dict(arrays)
        return [
            {**entry, "params": {name: arrays[name] for name in named}}
            for entry, named in zip(self._entries, self._named, strict=True)
        ]

    def views(self) -> list[Array]:
        """Every parameter's elements in memory order, as bits."""
        return [flat(param).view(f"u{param.itemsize}") for param in self.arrays]

    def check(self) -> None:
        """Raise a ValueError where a parameter can no longer be written."""
        if all(p.flags.writeable and p.shape == s for p, s in self._shapes):
            return  # and their memory cannot be resized
        for name, param in self.params.items():
            check_writeable(f"parameter {name!r}", param)
            check_unchanged(f"parameter {name!r}", param, self._seen[name])

    def gradients(self, grads: Any) -> list[Array | None]:
        """Gradients in the structure of the parameters, flat, as their parameters lie in memory.

        Raises
        ------
        TypeError, ValueError
            Where one is none; the text names its parameter.
        """
        return [self._gradient(i, leaf) for i, leaf in enumerate(tuple(self._align(grads)))]

    def _gradient(self, i: int, leaf: object) -> Array | None:
        if leaf is None:
            return None
        param = self.arrays[i]
        if (
            type(leaf) is np.ndarray
            and leaf.dtype is self.dtypes[i]
            and leaf.strides == param.strides
            and leaf.shape == param.shape
            and leaf.flags.aligned
            and not self._overlaps(leaf)
        ):
            return flat(leaf)
        return flat(beside(self.arrays[i], self.dtypes[i], self._read(i, leaf)))

    def _overlaps(self, array: Array) -> bool:
        """Whether a contiguous array lies where a parameter does."""
        start = address(array)
        before = bisect_left(self._starts, start + array.nbytes)
        return before > 0 and self._ends[before - 1] > start

    def shards(self, given: Any, names: bool) -> list[list[Array | None]]:
        """The gradients of this rank's shards, which are None for the same parameters."""
        if not names:
            return [self.gradients(given)]
        if not isinstance(given, (list, tuple)):
            raise TypeError(
                "with shards= grads is a list of gradients, one for each shard of this rank; got a "
                f"{type(given).__name__}"
            )
        if not given:
            raise ValueError("grads holds no shard; give each rank one, or use fewer ranks")
        shards = [self.gradients(of_one) for of_one in given]
        for number, shard in enumerate(shards):
            for name, first, own in zip(self.names, shards[0], shard, strict=True):
                if (first is None) != (own is None):
                    raise ValueError(
                        f"gradient {name!r} is None in one shard of this rank and not in another "
                        f"(grads[0] and grads[{number}]); give zeros, or None in all"
                    )
        return shards


def description(names: Sequence[str], arrays: Sequence[Array]) -> list[str]:
    """A line for each parameter: what has to be the same on all ranks."""
    return [
        f"parameter {name!r} has shape {array.shape}, dtype {array.dtype} and order "
        f"{memory_order(array)}"
        for name, array in zip(names, arrays, strict=True)
    ]
