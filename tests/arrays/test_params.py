"""Parameters and gradients of every legal form."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradstep as gs
from gradstep.arrays.structure import flatten_params
from tests.helpers import Array, assert_same_bits, everything

pytestmark = pytest.mark.usefixtures("backend")


def ones(*shape: int, dtype: str = "float32") -> Array:
    return np.ones(shape, dtype)


STRUCTURES: dict[str, Any] = {
    "array": lambda: ones(3),
    "list": lambda: [ones(3), ones(2, 2)],
    "tuple": lambda: (ones(3), ones(2, 2)),
    "dict": lambda: {"w": ones(3), "b": ones(2)},
    "one-entry dict": lambda: {"w": ones(3)},
    "nested": lambda: {"layers": [{"w": ones(3), "b": ones(1)}, {"w": ones(2), "b": ones(1)}]},
    "empty branches": lambda: {"a": [], "b": ones(2)},
    "groups": lambda: [{"params": {"w": ones(3)}}, {"params": {"b": ones(1)}}],
    "unnamed groups": lambda: [{"params": [ones(3), ones(1)]}, {"params": ones(2)}],
}


def gradients_like(params: Any) -> Any:
    if isinstance(params, dict):
        return {key: gradients_like(value) for key, value in params.items()}
    if isinstance(params, (list, tuple)):
        return [gradients_like(value) for value in params]
    return np.full_like(params, 2.0)


@pytest.mark.parametrize("name", STRUCTURES)
def test_every_structure_is_updated(name: str) -> None:
    params = STRUCTURES[name]()
    opt = gs.SGD(params, lr=0.25)
    if "groups" in name:
        opt.step([gradients_like(group["params"]) for group in params])
    else:
        opt.step(gradients_like(params))
    for array in opt.params.values():
        np.testing.assert_array_equal(array, np.full_like(array, 0.5))


def test_names() -> None:
    _, named = flatten_params({"a": ones(1), "b": [ones(1), {"c": ones(1)}]})
    assert list(named) == ["a", "b.0", "b.1.c"]
    assert list(gs.SGD(ones(1), lr=0.1).params) == ["0"]
    groups = [{"params": [ones(1), ones(1)]}, {"params": ones(1)}, {"params": {"w": ones(1)}}]
    assert list(gs.SGD(groups, lr=0.1).params) == ["0.0", "0.1", "1", "w"]


def test_iterators_are_taken_like_lists() -> None:
    arrays = [ones(2), ones(3)]
    opt = gs.SGD(iter(arrays), lr=1.0)
    opt.step(arrays_of_two := [ones(2), ones(3)])
    assert all(not array.any() for array in arrays)
    assert len(arrays_of_two) == 2


def test_named_groups_take_one_flat_dict_in_any_order() -> None:
    w, b = ones(3), ones(2)
    opt = gs.SGD([{"params": {"w": w}}, {"params": {"b": b}, "lr": 0.5}], lr=1.0)
    opt.step({"b": ones(2), "w": ones(3)})
    np.testing.assert_array_equal(w, np.zeros(3))
    np.testing.assert_array_equal(b, np.full(2, 0.5))


def test_dicts_line_up_by_name_not_by_position() -> None:
    params = {"w": ones(2), "b": ones(2)}
    gs.SGD(params, lr=1.0).step({"b": np.full(2, 3.0, "f"), "w": np.full(2, 1.0, "f")})
    np.testing.assert_array_equal(params["w"], np.zeros(2))
    np.testing.assert_array_equal(params["b"], np.full(2, -2.0))


class WithArray:
    def __init__(self, array: Array) -> None:
        self.array = array

    def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
        return np.array(self.array, dtype=dtype)


class Subclass(np.ndarray):
    pass


def misaligned(array: Array) -> Array:
    raw = np.zeros(array.nbytes + 1, np.uint8)
    result = raw[1:].view(array.dtype).reshape(array.shape)
    result[...] = array
    return result


def embedded(array: Array) -> Array:
    wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
    wide[..., ::2] = array
    return wide[..., ::2]


WAYS: dict[str, Any] = {
    "contiguous": lambda g: g,
    "fortran": np.asfortranarray,
    "transposed twice": lambda g: np.ascontiguousarray(g.T).T,
    "strided": embedded,
    "reversed": lambda g: np.ascontiguousarray(g[::-1, ::-1])[::-1, ::-1],
    "misaligned": misaligned,
    "byte-swapped": lambda g: g.astype(g.dtype.newbyteorder(">")),
    "subclass": lambda g: g.view(Subclass),
    "__array__": WithArray,
    "with metadata": lambda g: g.astype(np.dtype(g.dtype, metadata={"unit": "m"})),
    "read-only": lambda g: np.frombuffer(g.tobytes(), g.dtype).reshape(g.shape),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("way", WAYS)
def test_every_layout_gives_the_result_of_the_contiguous_copy(
    way: str, order: Any, dtype: str
) -> None:
    rng = np.random.default_rng(0)
    start, grad = rng.normal(size=(2, 17, 31)).astype(dtype)

    def run(gradient: Any) -> dict[str, Array]:
        opt = gs.Adam({"w": np.array(start, order=order)}, lr=0.1, ema_decay=0.5)
        for _ in range(3):
            opt.step({"w": gradient})
        return everything(opt)

    given = WAYS[way](grad)
    kept = np.array(grad)
    assert_same_bits(run(given), run(grad.copy()))
    np.testing.assert_array_equal(np.asarray(given), kept)  # gradients are never written


@pytest.mark.parametrize("param_dtype", ["float32", "float64"])
@pytest.mark.parametrize("grad_dtype", ["float16", "float32", "float64"])
def test_gradients_of_other_precisions_are_converted(param_dtype: str, grad_dtype: str) -> None:
    grad = np.random.default_rng(0).normal(size=1000).astype(grad_dtype)
    param = np.zeros(1000, param_dtype)
    gs.SGD(param, lr=1.0).step(grad)
    np.testing.assert_array_equal(param, -grad.astype(param_dtype))


def test_scalars_of_numpy_are_gradients_of_0d_parameters() -> None:
    param = np.array(1.0)
    gs.SGD(param, lr=1.0).step(np.float64(0.25))
    assert param == 0.75


def test_fortran_parameters_with_gradients_of_either_order() -> None:
    grad = np.arange(12.0).reshape(3, 4)
    for order in ("C", "F"):
        param = np.zeros((3, 4), order="F")
        gs.SGD(param, lr=1.0).step(np.array(grad, order=order))  # type: ignore[call-overload]
        np.testing.assert_array_equal(param, -grad)


def test_none_leaves_parameter_state_and_count_alone() -> None:
    def run(pattern: list[bool]) -> dict[str, Array]:
        params = {"w": ones(4), "b": ones(4)}
        opt = gs.Adam(params, lr=0.1, ema_decay=0.9)
        for present in pattern:
            opt.step({"w": ones(4), "b": ones(4) if present else None})
        assert opt.steps == len(pattern)
        return {k: v for k, v in everything(opt).items() if k.startswith("b")}

    assert_same_bits(run([True, False, False, True, False, True]), run([True, True, True]))


def test_ndarray_subclasses_and_memory_maps_are_updated_in_place(tmp_path: Any) -> None:
    mapped = np.memmap(tmp_path / "w.bin", np.float32, "w+", shape=(4,))
    matrix = np.ones((2, 2)).view(Subclass)
    opt = gs.SGD([mapped, matrix], lr=1.0)
    opt.step([np.ones(4, np.float32), np.ones((2, 2))])
    np.testing.assert_array_equal(mapped, -np.ones(4))
    np.testing.assert_array_equal(matrix, np.zeros((2, 2)))


def test_add_group() -> None:
    w, b = ones(2), ones(2)
    opt = gs.SGD({"w": w}, lr=1.0, momentum=0.5)
    opt.step({"w": ones(2)})
    opt.add_group({"params": {"b": b}, "lr": 0.5})
    opt.step({"w": ones(2), "b": ones(2)})
    np.testing.assert_array_equal(w, np.full(2, -1.5))
    np.testing.assert_array_equal(b, np.full(2, 0.5))
    opt.step([{"w": ones(2)}, {"b": None}])
    np.testing.assert_array_equal(b, np.full(2, 0.5))
