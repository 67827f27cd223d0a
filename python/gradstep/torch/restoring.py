"""Tensors put back to what they held, but for those that were given other memory meanwhile."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import compress, repeat, starmap
from operator import attrgetter, eq, setitem
from typing import Any

from numpy.typing import NDArray
from torch import Tensor

from gradstep.arrays.at_once import at_once

Array = NDArray[Any]
Copy = Callable[[Sequence[Array], Sequence[Array]], object]

FORM = attrgetter("shape", "dtype", "device")


def looks_at(tensors: Sequence[Tensor]) -> Iterator[tuple[Any, ...]]:
    """What :func:`~gradstep.torch.watch.look_at` sees of each, by C code alone."""
    pointers, strides = map(Tensor.data_ptr, tensors), map(Tensor.stride, tensors)
    return zip(pointers, strides, map(FORM, tensors), strict=True)


def put_back(
    tensors: Sequence[Tensor], arrays: Sequence[Array], kept: Sequence[Array], copy: Copy | None
) -> partial[Any]:
    """What gives `arrays` the values `kept` where their tensors look as they do now, once.

    It looks and writes in one call of C code, so that nobody moves a tensor between. `copy` is C
    code that copies to all the first arrays from the second ones; None is NumPy's assignment.
    """
    looks = list(looks_at(tensors))
    same: list[bool] = []
    to: list[Array] = []
    values: list[Array] = []
    # Each of these is read only when those before it are made.
    written = starmap(setitem, zip(to, repeat(...), values, strict=False))
    return at_once(
        [
            partial(same.extend, map(eq, looks_at(tensors), looks)),
            partial(to.extend, compress(arrays, same)),
            partial(values.extend, compress(kept, same)),
            partial(deque, written, 0) if copy is None else partial(copy, to, values),
        ]
    )
