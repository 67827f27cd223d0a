"""The same bytes with one addition per element: what the memory allows."""

from __future__ import annotations

import numpy as np

import gradstep as gs
from benchmarks.contestants.contestant import Array, Contestant, Racer
from benchmarks.works import Work
from gradstep.arrays.memory import allocate


class Roofline(Contestant):
    """Streams over the tensor itself, or over all tensors as one.

    The arrays are placed like gradstep's: ones in each other's way would make an easy roof.
    """

    name = "roofline"
    extra_arrays = 1

    def offers(self, work: Work) -> bool:
        return True

    def try_out(self) -> None:
        if "native" not in gs.runtime.available_backends():
            raise RuntimeError("it needs the compiled kernels")

    def prepare(self, work: Work, params: list[Array], grads: list[Array]) -> Racer:
        from gradstep import _native

        if len(params) == 1:
            read, param = grads[0], params[0]
        else:
            read, param = np.ones((2, sum(p.size for p in params)), params[0].dtype)
        written = [param, *(allocate(param, 0.0, place) for place in range(work.slots))]
        if work.clip_norm is None:
            return Racer(lambda: _native.stream(read, written, work.rule), list)

        def step() -> None:
            _native.sum_of_squares([read])
            _native.stream(read, written, work.rule)

        return Racer(step, list)
