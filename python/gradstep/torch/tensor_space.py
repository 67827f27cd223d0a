"""The parameters and vectors of gradstep.torch.LBFGS, on the memory of tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gradstep.arrays.at_once import at_once
from gradstep.closures.iterations import Pair
from gradstep.closures.space import Space, zeros
from gradstep.torch.restoring import looks_at, put_back
from gradstep.torch.state import check_apart
from gradstep.torch.tensors import has_memory


class TensorSpace(Space):
    """Vectors that are flat tensors, laid out as torch.optim.LBFGS has them."""

    def __init__(self, params: Sequence[Tensor]) -> None:
        super().__init__({str(i): param.detach().numpy() for i, param in enumerate(params)})
        self._of, self._looks = list(params), list(looks_at(params))
        self._dtype = params[0].dtype
        ends = np.cumsum([0, *(param.nbytes for param in self._arrays)]).tolist()
        self._offsets, self._bytes = ends[:-1], ends[-1]
        self.tensors: list[Tensor] = []
        self._vector_looks: list[Any] = []
        self._addresses: list[int] = []  # of the vectors
        self.numbers: dict[int, int] = {}
        self._before: int | None = None
        self.pairs: tuple[Pair, ...] = ()  # those that the last step left

    @property
    def before(self) -> int:
        """A vector for the parameters from before a step, which is in nobody else's hands."""
        if self._before is None:
            self._before = self.add()
        return self._before

    def is_of(self, params: Sequence[Tensor]) -> bool:
        same = len(params) == len(self._of) and all(map(Tensor.is_set_to, params, self._of))
        return same and list(looks_at(params)) == self._looks

    def knows(self, tensors: Sequence[Tensor]) -> bool:
        """Whether these are vectors of it, each another one, and all of its are as they were."""
        ids = {id(tensor) for tensor in tensors}
        return (
            len(ids) == len(tensors)
            and ids <= self.numbers.keys()
            and list(map(look_at_vector, self.tensors)) == self._vector_looks
        )

    def fits(self, tensor: Any) -> bool:
        """Whether it can be one of the vectors."""
        size = sum(param.numel() for param in self._of)
        return (
            isinstance(tensor, Tensor)
            and (tensor.dtype, tensor.device.type) == (self._dtype, "cpu")
            and tensor.shape == (size,)
            and tensor.is_contiguous()
        )

    def adopt_state(self, vectors: Mapping[str, Tensor]) -> None:
        """Take these over, by what an error calls them; a ValueError where that is not possible."""
        named = {f"parameter {i}": param.detach() for i, param in enumerate(self._of)}
        named |= {what: tensor.detach() for what, tensor in vectors.items()}
        for what, tensor in named.items():
            if not has_memory(tensor):
                raise ValueError(
                    f"{what} has {tensor.untyped_storage().nbytes()} bytes of memory for "
                    f"{tensor.numel()} elements: its storage was resized. Give it values, x.data = "
                    "values; a state can begin anew: opt.state.clear()"
                )
        check_apart({what: tensor.numpy() for what, tensor in named.items()})
        for tensor in vectors.values():
            self.adopt(tensor)

    def add(self) -> int:
        return self.adopt(torch.from_numpy(zeros(self._bytes).view(self._arrays[0].dtype)))

    def adopt(self, tensor: Tensor) -> int:
        memory, number = tensor.numpy().view(np.uint8), len(self.tensors)
        look = look_at_vector(tensor)
        at_once(
            [
                partial(self.engine.add_memory, memory),
                partial(self._memory.append, memory),
                partial(self.tensors.append, tensor),
                partial(self._vector_looks.append, look),
                partial(self._addresses.append, tensor.data_ptr()),
                partial(self.numbers.__setitem__, id(tensor), number),
            ]
        )()
        return number

    def check(self) -> None:
        super().check()
        self.check_params()
        if list(map(Tensor.data_ptr, self.tensors)) != self._addresses:
            raise RuntimeError(
                "a tensor in the state of LBFGS has been moved to other memory within a step; "
                "leave opt.state alone until the step has returned"
            )

    def check_params(self) -> None:
        if list(looks_at(self._of)) != self._looks:
            raise RuntimeError(
                "a parameter has been moved to other memory, or given another shape or dtype, "
                "within a step of LBFGS; do so (param.data = ...) between steps"
            )

    def save(self, to: int) -> None:
        self.check_params()
        super().save(to)

    def move(self, x: int | None, t: float, d: int) -> None:
        self.check_params()
        super().move(x, t, d)

    def restoring(self) -> Callable[[], object]:
        """What puts parameters back to what `before` holds, but for those that are moved by then:
        one call of C code."""
        parts = list(self.parts(self.before).values())
        return put_back(self._of, self._arrays, parts, None)


def look_at_vector(tensor: Tensor) -> tuple[Any, ...]:
    """As at a parameter, and how often torch's operations have written it."""
    (look,) = looks_at([tensor])
    return look, None if tensor.is_inference() else tensor._version
