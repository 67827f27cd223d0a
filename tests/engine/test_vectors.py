"""Vectors over all parameters: native = reference, bit for bit, and both against plain NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from gradstep import reference
from gradstep.closures.space import Space
from tests.helpers import Array, assert_same_bits, awkward_params, gradients

pytestmark = pytest.mark.usefixtures("native", "low_threshold")

ISAS = gs.runtime.available_isas()
THREADS = (1, 2, 3, 7)
DTYPES = ("float32", "float64", "mixed")
PAIRS = 19  # more than what is added up at a time


def params_of(dtype: str) -> dict[str, Array]:
    if dtype != "mixed":
        return awkward_params(dtype)
    both = {f"{t}_{n}": p for t in ("float32", "float64") for n, p in awkward_params(t).items()}
    return both | {"empty": np.zeros((0, 3))}


def space_of(params: dict[str, Array], vectors: int) -> Space:
    space = Space(params)
    space.begin()
    for v in range(vectors):
        assert space.add() == v
    return space


def leaves(params: dict[str, Array], step: int) -> list[Any]:
    return list(gradients(params, step).values())


def everything(space: Space) -> dict[str, Array]:
    """Copies of parameters and vectors."""
    arrays = {name: param.copy() for name, param in space.params.items()}
    for v in range(len(space)):
        arrays |= {f"{v}/{name}": part.copy() for name, part in space.parts(v).items()}
    return arrays


def work(params: dict[str, Array]) -> tuple[list[Any], dict[str, Array]]:
    """What all operations return, and what they leave."""
    space = space_of(params, 4 + 2 * PAIRS + 2)
    engine, d, x = space.engine, 3, 4 + 2 * PAIRS
    grads = leaves(params, 0)
    grads[3] = None
    returned: list[Any] = [engine.read(grads, -1.0, 0), engine.read(leaves(params, 1), 0.3, 1)]
    pairs: list[Any] = []
    for k in range(PAIRS):
        engine.read(leaves(params, 2 + k), 1.0, 2)
        s, y = 4 + 2 * k, 5 + 2 * k
        older = [pair[0] for pair in pairs]
        ys, yy, products, along = engine.differences(2, k % 2, 0.1, 1, s, y, older)
        returned += [ys, yy, *products, *along]
        pairs.append((s, y, 1.0 / abs(ys), products))
    returned += [engine.direction(2, pairs[1:], along[1:], 0.7, d)]
    returned += [engine.direction(0, [], [], 1.0, x)]
    returned += [engine.save(x + 1), engine.move(x + 1, -0.01, d), engine.move(None, 0.3, 1)]
    returned += [engine.dot(d, 0), engine.measure(2)]
    return returned, everything(space)


@pytest.fixture(scope="module")
def expected() -> Callable[[str], Any]:
    kept: dict[str, Any] = {}

    def of(dtype: str) -> Any:
        if dtype not in kept:
            with gs.runtime.set_backend("numpy"):
                kept[dtype] = work(params_of(dtype))
        return kept[dtype]

    return of


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_native_equals_reference(
    dtype: str, isa: str, threads: int, expected: Callable[[str], Any]
) -> None:
    with gs.runtime.set_isa(isa), gs.runtime.set_num_threads(threads):
        returned, arrays = work(params_of(dtype))
    assert returned == expected(dtype)[0]
    assert_same_bits(arrays, expected(dtype)[1])


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_special_values_native_equals_reference(dtype: str, isa: str) -> None:
    tiny = np.finfo(dtype).tiny
    specials = [0.0, -0.0, np.nan, np.inf, -np.inf, tiny, -tiny / 2, 1e30, -1e30, 1.0]
    values = np.array(np.meshgrid(specials, specials), dtype).reshape(2, -1)

    def run(backend: str) -> tuple[Any, dict[str, Array]]:
        with gs.runtime.set_backend(backend):
            space = space_of({"x": values[0].copy()}, 5)
            engine = space.engine
            returned = [engine.read([v], 1.0, i) for i, v in enumerate(values)]
            ys, yy, products, along = engine.differences(0, 1, 0.5, 1, 2, 3, [0])
            returned += [(ys, yy, *products, *along)]
            returned += [engine.direction(0, [(2, 3, 0.1, products)], [0.2], 0.5, 4)]
            returned += [engine.move(0, 2.0, 1)]
            return returned, everything(space)

    with gs.runtime.set_isa(isa):
        native, reference = run("native"), run("numpy")
    np.testing.assert_array_equal(
        np.array([n for r in native[0] for n in np.atleast_1d(r)]),
        np.array([n for r in reference[0] for n in np.atleast_1d(r)]),
    )
    assert_same_bits(native[1], reference[1])


def test_what_is_computed(backend: str) -> None:
    params = {"a": np.array([1.0, 2.0]), "b": np.array([[3.0], [4.0]])}
    space = space_of(params, 6)
    engine = space.engine
    assert engine.read([np.array([1.0, -5.0]), None], -2.0, 0) == (10.0, 12.0, 104.0)
    np.testing.assert_array_equal(space.parts(0)["a"], [-2.0, 10.0])
    np.testing.assert_array_equal(space.parts(0)["b"], [[0.0], [0.0]])
    engine.save(1)
    assert engine.dot(0, 1) == 18.0
    assert engine.direction(0, [], [], 0.5, 4) == (-52.0, 5.0)
    np.testing.assert_array_equal(space.parts(4)["a"], [1.0, -5.0])
    assert engine.move(None, -1.0, 4)
    engine.save(1)
    np.testing.assert_array_equal(params["a"], [0.0, 7.0])
    assert engine.move(1, 2.0, 0)
    np.testing.assert_array_equal(params["a"], [-4.0, 27.0])
    np.testing.assert_array_equal(params["b"], [[3.0], [4.0]])
    engine.restore(0)
    np.testing.assert_array_equal(params["a"], [-2.0, 10.0])
    ys, yy, products, along = engine.differences(0, 1, 3.0, 0, 2, 3, [1])
    assert (ys, yy) == (-2 * -6.0 + 3 * 30.0 + 0.0, 4.0 + 9.0 + 9.0 + 16.0)
    assert products.tolist() == [7 * 3.0 - 3 * 3.0 - 4 * 4.0]
    assert along == [7 * 10.0, 2 * 6.0 + 10 * 30.0]


def test_the_direction_is_that_of_the_dense_inverse_hessian(backend: str) -> None:
    """Nocedal & Wright (7.16): H ← (I − ρ·s·yᵀ)·H·(I − ρ·y·sᵀ) + ρ·s·sᵀ."""
    rng = np.random.default_rng(0)
    space = space_of({"a": np.zeros(7), "b": np.zeros((2, 3))}, 10)
    engine = space.engine

    def put(values: Array, to: int) -> None:
        engine.read([values[:7], values[7:].reshape(2, 3)], 1.0, to)

    H, pairs = 0.3 * np.eye(13), []
    for k in range(4):
        s, y = rng.normal(size=13), rng.normal(size=13)
        y *= np.sign(y @ s)
        rho = 1 / (y @ s)
        left = np.eye(13) - rho * np.outer(s, y)
        H = left @ H @ left.T + rho * np.outer(s, s)
        put(s, 2 * k)
        put(y, 2 * k + 1)
        products = np.array([engine.dot(older, 2 * k + 1) for older, *_ in pairs])
        pairs.append((2 * k, 2 * k + 1, rho, products))
    g = rng.normal(size=13)
    put(g, 8)
    along = [engine.dot(step, 8) for step, *_ in pairs]
    slope, largest = engine.direction(8, pairs, along, 0.3, 9)
    parts = space.parts(9)
    d = np.concatenate([parts["a"], parts["b"].ravel()])
    np.testing.assert_allclose(d, -H @ g, rtol=1e-12, atol=1e-12)
    assert slope == pytest.approx(d @ g, rel=1e-13)
    assert largest == np.abs(d).max()


def test_gradients_that_need_python_are_told_and_nothing_is_read(backend: str) -> None:
    space = space_of({"w": np.ones((2, 3)), "b": np.ones(2)}, 1)
    odd = [
        np.ones((2, 3), np.float32),
        np.ones((3, 2)).T,
        np.ones((2, 2)),
        [1.0],
        np.ma.ones((2, 3)),
    ]
    for grad in odd:
        assert space.engine.read([grad, np.ones(2)], 1.0, 0) is None
    assert not space.parts(0)["b"].any()


@pytest.mark.filterwarnings("ignore:Setting the shape:DeprecationWarning")
def test_moved_parameters_are_noticed(backend: str) -> None:
    w = np.ones(3)
    space = space_of({"w": w}, 2)
    assert space.engine.save(0)
    w.flags.writeable = False
    assert not space.engine.save(0)
    assert not space.engine.move(0, 1.0, 1)
    w.flags.writeable = True
    w.shape = (3, 1)
    assert not space.engine.move(0, 1.0, 1)


def test_native_refuses_what_would_overlap() -> None:
    engine, none = space_of({"w": np.ones(3)}, 3).engine, np.zeros(0)
    for call in (
        lambda: engine.direction(0, [], [], 1.0, 0),
        lambda: engine.direction(0, [(1, 2, 1.0, none)], [1.0], 1.0, 2),
        lambda: engine.differences(0, 1, 1.0, 2, 2, 1, []),
        lambda: engine.differences(0, 0, 1.0, 0, 1, 2, [1]),
    ):
        with pytest.raises(ValueError, match="a vector is read and written"):
            call()
    with pytest.raises(ValueError, match="one product with g per pair"):
        engine.direction(0, [], [1.0], 1.0, 1)
    with pytest.raises(ValueError, match="one product per pair before"):
        engine.direction(0, [(1, 1, 1.0, none), (1, 1, 1.0, none)], [1.0, 1.0], 1.0, 2)
    with pytest.raises(ValueError, match="there is no such vector"):
        engine.dot(0, 3)


def test_the_reference_is_what_the_numpy_backend_has() -> None:
    with gs.runtime.set_backend("numpy"):
        assert gs.runtime.vectors_type is reference.Vectors


def test_both_backends_offer_the_same_methods() -> None:
    from gradstep import _native

    native = {name for name in vars(_native.Vectors) if not name.startswith("_")}
    assert native == {name for name in vars(reference.Vectors) if not name.startswith("_")}
