"""The numeric contract: native = reference, bit for bit, whatever the ISA and thread count."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from gradstep.around.ascent import Ascent, members_of
from tests.helpers import Array, assert_same_bits, awkward_params, everything, gradients

pytestmark = pytest.mark.usefixtures("native", "low_threshold")

ISAS = gs.runtime.available_isas()
THREADS = (1, 2, 3, 7)
WRAPPERS: dict[str, Any] = {
    "Lookahead": lambda opt: gs.Lookahead(opt, k=2, alpha=0.3),
    "SAM": lambda opt: gs.SAM(opt, rho=3.0),
    "ASAM": lambda opt: gs.ASAM(opt, rho=3.0, eta=0.1),
}


def train(wrapper: str, dtype: str, copies: bool = False) -> dict[str, Array]:
    params = awkward_params(dtype)
    halves = {n: p.astype(np.float16) for n, p in params.items()} if copies else None
    opt = WRAPPERS[wrapper](gs.AdamW(params, lr=0.1, copies=halves))
    for step in range(4):
        grads = gradients(params, step)

        def closure(grads: dict[str, Array] = grads) -> Any:
            return 1.0, {name: grad + params[name] for name, grad in grads.items()}

        opt.step(grads if wrapper == "Lookahead" else closure)
    slow = {f"{n}/slow": s.copy() for n, s in getattr(opt, "slow", {}).items()}
    return everything(opt) | slow | {f"{n}/copy": c for n, c in (halves or {}).items()}


@cache
def reference(wrapper: str, dtype: str, copies: bool = False) -> dict[str, Array]:
    with gs.runtime.set_backend("numpy"):
        return train(wrapper, dtype, copies)


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_native_equals_reference(wrapper: str, dtype: str, isa: str, threads: int) -> None:
    with gs.runtime.set_isa(isa), gs.runtime.set_num_threads(threads):
        native = train(wrapper, dtype)
    assert_same_bits(native, reference(wrapper, dtype))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_copies_are_the_same_everywhere(wrapper: str, isa: str) -> None:
    with gs.runtime.set_isa(isa), gs.runtime.set_num_threads(3):
        native = train(wrapper, "float32", copies=True)
    assert_same_bits(native, reference(wrapper, "float32", True))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("rounding", ["nearest", "stochastic", "kahan", "split"])
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_half_parameters_are_the_same_everywhere(wrapper: str, rounding: str, isa: str) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="pip install '.[test]'")

    def run(backend: str) -> dict[str, Array]:
        with gs.runtime.set_backend(backend):
            plain = awkward_params("float32")
            params = {n: p.astype(ml_dtypes.bfloat16) for n, p in plain.items()}
            opt = WRAPPERS[wrapper](gs.SGD(params, lr=0.1, rounding=rounding))
            for step in range(4):
                grads = gradients(plain, step)
                opt.step(grads if wrapper == "Lookahead" else lambda: (1.0, grads))  # noqa: B023
            slow = {f"{n}/slow": s.copy() for n, s in getattr(opt, "slow", {}).items()}
            return {n: p.view(np.uint16) for n, p in params.items()} | slow

    with gs.runtime.set_isa(isa), gs.runtime.set_num_threads(3):
        native = run("native")
    assert_same_bits(native, run("numpy"))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_norm_by_size_is_the_same_everywhere(dtype: str, isa: str) -> None:
    params = awkward_params(dtype)
    # Large enough for several waves of blocks.
    params["large"] = np.random.default_rng(7).normal(size=5_000_003).astype(dtype)
    grads = gradients(params, 0)

    def norm() -> float:
        layout, leaves = gs.SGD(params)._layout, list(grads.values())
        ascent = Ascent(layout, adaptive=True)
        return ascent.climb(leaves, ascent.rows(layout, leaves, -0.5, 0.0, 0.25), -0.5)

    with gs.runtime.set_backend("numpy"):
        expected = norm()
    squares = (
        np.sum(
            ((np.abs(params[n]) + params[n].dtype.type(0.25)).astype(float) * g.astype(float)) ** 2
        )
        for n, g in grads.items()
    )
    assert expected == pytest.approx(0.5 * np.sqrt(float(sum(squares))), rel=1e-12)
    for threads in THREADS:
        with gs.runtime.set_isa(isa), gs.runtime.set_num_threads(threads):
            assert norm() == expected


@pytest.mark.parametrize("backend", ["numpy", *ISAS])
def test_what_an_ascent_overwrites_is_kept_to_the_bit(backend: str) -> None:
    params = awkward_params("float32") | {"large": np.ones(5_000_003, np.float32)}
    for param in params.values():  # a denormal and a NaN with a payload
        param.reshape(-1)[:2].view(np.uint32)[:] = [1, 0x7FA00001][: min(2, param.size)]
    absent = "matrix"
    before = {n: p.tobytes(order="A") for n, p in params.items()}
    native = backend != "numpy"
    with (
        gs.runtime.set_backend("native" if native else "numpy"),
        gs.runtime.set_isa(backend if native else ISAS[0]),
        gs.runtime.set_flush_denormals(True),
        gs.runtime.set_num_threads(3),
    ):
        layout = gs.SGD(params)._layout
        ascent = Ascent(layout, adaptive=False)
        leaves = [None if n == absent else np.ones_like(p) for n, p in params.items()]
        rows = ascent.rows(layout, leaves, 1.0, 0.5, None)
        assert ascent.table.kept_of is not rows
        ascent.climb(leaves, rows, 1.0)
        assert ascent.table.kept_of is rows
        changed = {n for n, p in params.items() if p.tobytes(order="A") != before[n]}
        assert "large" in changed
        assert absent not in changed
        ascent.back(members_of(leaves), [])()
    assert {n: p.tobytes(order="A") for n, p in params.items()} == before
