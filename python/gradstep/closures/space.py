"""Vectors over all parameters, on memory that is allocated once and kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any
from weakref import ref

import numpy as np
from numpy.typing import NDArray

from gradstep import runtime
from gradstep.arrays.at_once import at_once
from gradstep.arrays.memory import address, held, memory_order, unresizable
from gradstep.arrays.parameters import check_unchanged, look
from gradstep.closures.evaluation import like_param

Array = NDArray[Any]
Size = tuple[float, float, float]  # largest absolute value, sum of absolute values, of squares

LINE = 64
HUGE = 1 << 22  # bytes from which on NumPy asks for huge pages, as passes over many vectors need


class Space:
    """The parameters, and vectors by their numbers: what an optimizer's arithmetic is done with."""

    def __init__(self, params: Mapping[str, Array]) -> None:
        self.params = dict(params)
        self._arrays = list(params.values())
        self._seen = [look(param) for param in self._arrays]
        self._offsets: list[int] = []
        self._bytes = 0
        for param in self._arrays:
            self._offsets.append(self._bytes)
            self._bytes += -(-param.nbytes // LINE) * LINE
        self._memory: list[Array] = []
        self._type: Any = None
        self.engine: Any = None

    def __len__(self) -> int:
        return len(self._memory)

    def begin(self) -> list[Any]:
        """Look at the parameters, and at what backend is in force.

        While the result lives neither they nor the memory that they are views of can be resized.
        """
        unresized = [*map(ref, self._arrays), *held(self._arrays)]
        self.check()
        if self._type is not (wanted := runtime.vectors_type):
            engine = wanted(self._arrays, self._offsets, self._bytes)
            for memory in self._memory:
                engine.add_memory(memory)
            vars(self).update(engine=engine, _type=wanted)
        return unresized

    def check(self) -> None:
        """Raise a ValueError where a parameter is not what it was."""
        for name, param, seen in zip(self.params, self._arrays, self._seen, strict=True):
            check_unchanged(f"parameter {name!r}", param, seen)

    def add(self) -> int:
        """The number of one more vector, of zeros."""
        own = zeros(self._bytes)
        at_once([partial(self.engine.add_memory, own), partial(self._memory.append, own)])()
        return len(self._memory) - 1

    def parts(self, vector: int) -> dict[str, Array]:
        """A vector as live arrays like the parameters, by their names."""
        memory, views = self._memory[vector], {}
        for (name, param), at in zip(self.params.items(), self._offsets, strict=True):
            part = memory[at : at + param.nbytes].view(param.dtype)
            views[name] = part.reshape(param.shape, order=memory_order(param))
        return views

    def read(self, grads: Sequence[Any], scale: float, to: int) -> Size:
        """`to` = scale·gradients, zeros for None."""
        size: Size | None = self.engine.read(grads, scale, to)
        if size is None:
            named = zip(self.params.items(), grads, strict=True)
            arrays = [None if g is None else like_param(n, g, p) for (n, p), g in named]
            size = self.engine.read(arrays, scale, to)
            assert size is not None
        return size

    def save(self, to: int) -> None:
        """`to` = the parameters."""
        if not self.engine.save(to):
            self.check()

    def move(self, x: int | None, t: float, d: int) -> None:
        """The parameters = x + t·d; None stands for what they are."""
        if not self.engine.move(x, t, d):
            self.check()


def zeros(size: int) -> Array:
    """So many bytes, from where a cache line begins, that nobody resizes."""
    room = size + LINE
    memory = unresizable(np.zeros(max(room, HUGE) if room > HUGE // 2 else room, np.uint8))
    start = -address(memory) % LINE
    return memory[start : start + size]


class Slots:
    """Vectors that are free for one step: all but those that are kept whatever comes of it."""

    def __init__(self, space: Space, kept: set[int]) -> None:
        self._space, self._kept = space, kept
        self._free = [slot for slot in range(len(space)) if slot not in kept]

    def take(self) -> int:
        return self._free.pop() if self._free else self._space.add()

    def give(self, *slots: int | None) -> None:
        self._free += [s for s in slots if s is not None and s not in self._kept]
