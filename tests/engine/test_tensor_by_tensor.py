"""Factors of matrices beyond one tile, and of tensors that are taken one after another."""

from __future__ import annotations

import numpy as np
import pytest

import gradstep as gs
from tests.helpers import Array, assert_same_bits, everything

pytestmark = pytest.mark.usefixtures("native")

ELEMENTS = 262_144  # that a thread's share of tensors measured together has
# Beyond tiles of 64 rows and of 4,096 columns, and blocks of 1,024 elements within these.
FACTORED: dict[str, tuple[int, ...]] = {
    "wide": (65, 4_099),
    "tall": (1_030, 67),
    "batch": (3, 70, 1_025),
    "tiny": (50, 3, 3),
    "vector": (5_000,),
}


def trained(backend: str, params: dict[str, Array]) -> dict[str, Array]:
    rng = np.random.default_rng(7)
    with gs.runtime.set_backend(backend):
        opt = gs.Adafactor({name: param.copy("K") for name, param in params.items()})
        for _ in range(2):
            opt.step({name: rng.normal(size=p.shape).astype(p.dtype) for name, p in params.items()})
        return everything(opt)


def noise(shape: tuple[int, ...], dtype: str) -> Array:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(dtype)


@pytest.mark.parametrize("isa", gs.runtime.available_isas())
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_factors_of_matrices_beyond_a_tile(dtype: str, isa: str) -> None:
    params = {name: noise(shape, dtype) for name, shape in FACTORED.items()}
    params["fortran"] = np.asfortranarray(noise((2_050, 70), dtype))
    with gs.runtime.set_isa(isa), gs.runtime.set_num_threads(2):
        native = trained("native", params)
    assert_same_bits(native, trained("numpy", params))


@pytest.mark.parametrize("threads", [1, 2])
def test_batches_of_tensors(threads: int) -> None:
    shapes = [(7,), (700, 400), (3, 5), (512, 520), (11,), (900, 1_000), (13,), (64, 2)]
    assert sum(np.prod(shape) for shape in shapes) > 2 * 2 * ELEMENTS
    params = {str(i): noise(shape, "float32") for i, shape in enumerate(shapes)}
    with gs.runtime.set_num_threads(threads):
        native = trained("native", params)
    assert_same_bits(native, trained("numpy", params))
