"""Parameters and gradients for the tests, and whole-optimizer comparison."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

import gradstep as gs

Array = NDArray[Any]

THRESHOLD = 32768  # elements
LOW_THRESHOLD = 1024  # what the `low_threshold` fixture sets
SIZE = 100_000  # what is resized from so many bytes moves, and its old pages are given back


class ByArray:
    """A gradient whose ``__array__`` does something first."""

    def __init__(self, values: Array, act: Callable[[], object]) -> None:
        self.values, self.act = values, act

    def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
        self.act()
        return self.values


def awkward_params(dtype: str, seed: int = 0, threshold: int = LOW_THRESHOLD) -> dict[str, Array]:
    """Every shape and size at which a loop, a block or a thread's share could go wrong;
    together enough for seven threads."""
    rng = np.random.default_rng(seed)
    sizes = (0, 1, 15, 16, 17, 255, 256, 257, 1023, 1024, 1025, threshold + 1, 3 * threshold)
    shapes: dict[str, tuple[int, ...]] = {f"n{n}_{i}": (n,) for i, n in enumerate(sizes)}
    shapes |= {f"small{i}": (37,) for i in range(40)}
    shapes |= {"scalar": (), "matrix": (31, 67), "cube": (3, 1, 5)}
    params = {name: rng.normal(size=shape).astype(dtype) for name, shape in shapes.items()}
    params["fortran"] = np.asfortranarray(rng.normal(size=(29, 53)).astype(dtype))
    return params


def gradients(params: dict[str, Array], step: int) -> dict[str, Array]:
    """Gradients of all magnitudes, in the order of the parameters' memory."""
    rng = np.random.default_rng(1000 + step)
    grads = {}
    for name, param in params.items():
        values = rng.normal(size=param.shape) * 10.0 ** rng.uniform(-3, 2, size=param.shape)
        grads[name] = np.array(
            values, dtype=param.dtype, order="C" if param.flags.c_contiguous else "F"
        )
    return grads


def everything(opt: gs.Optimizer) -> dict[str, Array]:
    """Copies of all arrays that a step may change."""
    arrays = {f"{name}": param.copy() for name, param in opt.params.items()}
    for name, slots in opt.state.items():
        arrays |= {f"{name}/{slot}": array.copy() for slot, array in slots.items()}
    arrays |= {f"{name}/ema": array.copy() for name, array in opt.ema.items()}
    return arrays


def assert_same_bits(actual: dict[str, Array], expected: dict[str, Array]) -> None:
    assert actual.keys() == expected.keys()
    for name, array in actual.items():
        assert array.dtype == expected[name].dtype
        unsigned = f"u{array.dtype.itemsize}"
        same = np.array_equal(array.ravel().view(unsigned), expected[name].ravel().view(unsigned))
        if not same and not np.array_equal(array, expected[name], equal_nan=True):
            wrong = np.flatnonzero(array.ravel() != expected[name].ravel())
            raise AssertionError(
                f"{name} differs in {wrong.size} of {array.size} elements, first at {wrong[0]}: "
                f"{array.ravel()[wrong[0]]!r} and {expected[name].ravel()[wrong[0]]!r}"
            )


def assert_rounded(copies: Any, params: Any) -> None:
    """By NumPy's and ml_dtypes' own casts, to nearest even."""
    assert copies
    for name, copy in copies.items():
        np.testing.assert_array_equal(copy, params[name].astype(copy.dtype), err_msg=name)


def train(
    cls: type[gs.Optimizer],
    options: dict[str, Any],
    dtype: str,
    *,
    steps: int = 5,
    grad_scale: float = 1.0,
    with_none: bool = False,
    threshold: int = LOW_THRESHOLD,
) -> dict[str, Array]:
    """Everything after a few steps; `with_none` leaves tensors out in turn."""
    params = awkward_params(dtype, threshold=threshold)
    opt = cls(params, **options)
    for step in range(steps):
        grads: dict[str, Any] = gradients(params, step)
        if with_none:
            for i, name in enumerate(grads):
                if (i + step) % 3 == 0:
                    grads[name] = None
        opt.step(grads, grad_scale=grad_scale)
    return everything(opt)


def put(*path: Any) -> Callable[[Any, Any], None]:
    """A function that sets the entry at `path` of nested dicts and lists; KeyError deletes it."""

    def change(content: Any, value: Any) -> None:
        for key in path[:-1]:
            content = content[key]
        if value is KeyError:
            del content[path[-1]]
        else:
            content[path[-1]] = value

    return change
