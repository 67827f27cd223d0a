"""What a step looks at beside its arrays, where the compiled kernels do not: tensors may have been
given other memory, and the state other tensors, since the arrays were made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from gradstep import runtime

PARTS = {
    "Tensor": torch.Tensor,
    "grad": vars(torch._C.TensorBase)["grad"],
    "is_neg": torch.Tensor.is_neg,
    "resolve_neg": torch.Tensor.resolve_neg,
    "increment_version": torch._C._increment_version,
}


class Moved(Exception):
    """Something is not what it was when the arrays were made."""


class Snapshot:
    """Lists and dicts as they were, down to a depth: which objects they held."""

    def __init__(self, root: Any, depth: int) -> None:
        self._root, self._depth = root, depth
        self._objects = list(objects_in(root, depth))

    def same(self) -> bool:
        now = list(objects_in(self._root, self._depth))
        return len(now) == len(self._objects) and all(
            a is b for a, b in zip(now, self._objects, strict=True)
        )


def objects_in(root: Any, depth: int) -> Iterable[Any]:
    within = [*root.keys(), *root.values()] if isinstance(root, dict) else root
    if not depth or not isinstance(root, (dict, list)):
        return
    for each in within:
        yield each
        yield from objects_in(each, depth - 1)


class Watch:
    """Parameters, what is written beside them, and the dict that users see that in."""

    def __init__(
        self,
        params: Sequence[Tensor],
        beside: Sequence[Tensor],
        copies: Sequence[Tensor],
        state: Mapping[Any, Any],
        counts: NDArray[Any] | None,
    ) -> None:
        self.params, self._copies, self._counts = list(params), list(copies), counts
        self._tensors = [*params, *beside]
        self._seen = [look_at(tensor) for tensor in self._tensors]
        self._state = Snapshot(state, 2)
        self._counted = None if counts is None else counts.copy()

    def gradients(self) -> tuple[Tensor | None, ...]:
        return tuple(param.grad for param in self.params)

    def unchanged(self) -> bool:
        counted = self._counts is None or bool((self._counts == self._counted).all())
        seen = zip(self._tensors, self._seen, strict=True)
        return counted and self._state.same() and all(look_at(t) == before for t, before in seen)

    def check(self) -> None:
        if not self.unchanged():
            raise Moved

    def announce(self, written: Iterable[int]) -> None:
        """Tell autograd that these parameters are written, and copies."""
        if params := [self.params[i] for i in written]:
            PARTS["increment_version"]([*params, *self._copies])

    def count(self, taken: Iterable[int]) -> None:
        if self._counts is not None:
            self._counts[list(taken)] += 1
            self._counted = self._counts.copy()


def look_at(tensor: Tensor) -> tuple[Any, ...]:
    return tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype, tensor.device


def watch(
    params: Sequence[Tensor],
    beside: Sequence[Tensor],
    copies: Sequence[Tensor],
    state: Mapping[Any, Any],
    counts: NDArray[Any] | None,
) -> Any:
    """The native backend's, where it is in force and PyTorch has the API that it reads."""
    native = runtime.native()
    if native is not None and "__dlpack_c_exchange_api__" in vars(torch.Tensor):
        return native.Tensors(PARTS, params, beside, list(copies), state, counts, Moved)
    return Watch(params, beside, copies, state, counts)


def snapshot(root: Any, depth: int) -> Any:
    native = runtime.native()
    return Snapshot(root, depth) if native is None else native.Snapshot(root, depth)
