"""Rules of whole tensors, measured and updated tensor by tensor: the same bits as all at once."""

from __future__ import annotations

from typing import Any

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


def trained(backend: str, cls: Any, params: dict[str, Array], **options: Any) -> dict[str, Array]:
    rng = np.random.default_rng(7)
    with gs.runtime.set_backend(backend):
        opt = cls({name: param.copy("K") for name, param in params.items()}, **options)
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
        native = trained("native", gs.Adafactor, params)
    assert_same_bits(native, trained("numpy", gs.Adafactor, params))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    ("cls", "options"),
    [(gs.Adafactor, {}), (gs.LAMB, {}), (gs.Prodigy, {}), (gs.Lion, {"cautious": True})],
)
def test_batches_of_tensors(cls: Any, options: dict[str, Any], threads: int) -> None:
    shapes = [(7,), (700, 400), (3, 5), (512, 520), (11,), (900, 1_000), (13,), (64, 2)]
    assert sum(np.prod(shape) for shape in shapes) > 2 * 2 * ELEMENTS
    params = {str(i): noise(shape, "float32") for i, shape in enumerate(shapes)}
    with gs.runtime.set_num_threads(threads):
        native = trained("native", cls, params, **options)
    assert_same_bits(native, trained("numpy", cls, params, **options))
