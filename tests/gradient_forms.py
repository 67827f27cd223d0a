"""Gradients in every dtype and layout that a step reads, for the tests."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.helpers import Array

try:
    from ml_dtypes import bfloat16
except ImportError:
    bfloat16 = None

FORMATS = ["float16", "float32", "float64"] + ["bfloat16"] * (bfloat16 is not None)

SHAPES = {
    "scalar": (),
    "empty": (0,),
    "none of three": (3, 0, 2),
    "one": (1,),
    "odd": (1023,),
    "two blocks": (1025,),
    "long": (5011,),
    "matrix": (31, 67),
    "wide": (5, 1300),
    "tall": (600, 3),
    "square": (270, 64),
    "cube": (7, 1, 5),
    "four": (9, 4, 6, 11),
    "fortran": (29, 53),
    "fortran tall": (1030, 5),
}


def dtype_of(name: str) -> Any:
    return bfloat16 if name == "bfloat16" else name


def ordered(values: Array, dtype: str, axes: list[int]) -> Array:
    """An array of these values whose memory runs along `axes`, the slowest first."""
    turned = np.array(values.transpose(axes), dtype_of(dtype), order="C")
    return turned.transpose(np.argsort(axes).tolist())


def as_parameter(values: Array, dtype: str) -> Array:
    order = "C" if values.flags.c_contiguous else "F"
    return np.array(values, dtype_of(dtype), order=order)


def transposed(values: Array, dtype: str) -> Array:
    return ordered(values, dtype, list(range(values.ndim))[::-1])


def rolled(values: Array, dtype: str) -> Array:
    return ordered(values, dtype, [*range(1, values.ndim), 0][: values.ndim])


def strided(values: Array, dtype: str) -> Array:
    wide = np.zeros([3 * length + 1 for length in values.shape], dtype_of(dtype))
    view = wide[(*(slice(1, None, 3) for _ in values.shape), ...)]
    view[...] = values
    return view


def columns(values: Array, dtype: str) -> Array:
    if values.ndim == 0:
        return as_parameter(values, dtype)
    wide = np.zeros([*values.shape[:-1], values.shape[-1] + 5], dtype_of(dtype))
    view = wide[..., 2:-3]
    view[...] = values
    return view


def backwards(values: Array, dtype: str) -> Array:
    turned = (*(slice(None, None, -1) for _ in values.shape), ...)
    return strided(values[turned], dtype)[turned]


def broadcast(values: Array, dtype: str) -> Array:
    if values.ndim == 0 or values.size == 0:
        return as_parameter(values, dtype)
    return np.broadcast_to(values[:1].astype(dtype_of(dtype)), values.shape)


def every_other(values: Array, dtype: str) -> Array:
    if values.ndim == 0:
        return as_parameter(values, dtype)
    wide = np.zeros([*values.shape[:-1], 2 * values.shape[-1]], dtype_of(dtype))
    view = wide[..., ::2]
    view[...] = values
    return view


def unaligned(values: Array, dtype: str) -> Array:
    plain = as_parameter(values, dtype)
    raw = np.zeros(plain.nbytes + 1, np.uint8)
    view = raw[1:].view(plain.dtype).reshape(plain.shape)
    view[...] = plain
    return view


def swapped(values: Array, dtype: str) -> Array:
    plain = as_parameter(values, dtype)
    return plain if dtype == "bfloat16" else plain.astype(plain.dtype.newbyteorder())


LAYOUTS: dict[str, Callable[[Array, str], Array]] = {
    each.__name__: each
    for each in (
        as_parameter,
        transposed,
        rolled,
        strided,
        columns,
        backwards,
        broadcast,
        every_other,
        unaligned,
        swapped,
    )
}


def parameters(dtype: str) -> dict[str, Array]:
    rng = np.random.default_rng(5)
    named = {name: rng.normal(size=shape).astype(dtype) for name, shape in SHAPES.items()}
    for name in ("fortran", "fortran tall"):
        named[name] = np.asfortranarray(named[name])
    return named


def values_of(param: Array, step: int) -> Array:
    rng = np.random.default_rng(100 * step + param.size)
    values = rng.normal(size=param.shape) * 10.0 ** rng.uniform(-6, 2, size=param.shape)
    return np.array(values, order="C" if param.flags.c_contiguous else "F")


def mixed(params: dict[str, Array], step: int) -> dict[str, Array | None]:
    """Gradients of all layouts in all formats, None among them."""
    ways = list(itertools.product(LAYOUTS.values(), FORMATS))
    grads: dict[str, Array | None] = {}
    for i, (name, param) in enumerate(params.items()):
        layout, dtype = ways[(7 * i + 11 * step) % len(ways)]
        grads[name] = None if (i + step) % 6 == 5 else layout(values_of(param, step), dtype)
    return grads


def of_one(layout: str, form: str) -> Callable[[dict[str, Array], int], dict[str, Array]]:
    """Gradients of one layout and format."""
    return lambda params, step: {
        name: LAYOUTS[layout](values_of(param, step), form) for name, param in params.items()
    }


def converted(params: dict[str, Array], grads: dict[str, Any]) -> dict[str, Array | None]:
    """What NumPy's conversion makes of them."""
    made: dict[str, Array | None] = {}
    with np.errstate(over="ignore"):
        for name, grad in grads.items():
            made[name] = None if grad is None else np.empty_like(params[name])
            if grad is not None:
                made[name][...] = grad
    return made
