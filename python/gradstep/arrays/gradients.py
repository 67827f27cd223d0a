"""One gradient, checked against its parameter and made readable.

Both backends send every gradient here that they cannot read as it is, so there is one place that
decides what is legal and one text for each error. What they read is an ndarray in one of a few
dtypes; its layout and precision need not be its parameter's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.arrays.advice import is_torch, towards_floats, towards_gradient
from gradstep.arrays.copies import NO_COPIES, Copies
from gradstep.arrays.memory import Ranges, address, held
from gradstep.arrays.parameters import Look, check_unchanged, check_writeable, is_bfloat16
from gradstep.arrays.stored import compute_dtype

Array = NDArray[Any]

READABLE = (np.dtype(np.float16), np.dtype(np.float32), np.dtype(np.float64))


class GradientReader:
    """``reader(i, gradient)`` is the gradient of parameter `i` as an array that steps can read.

    Parameters
    ----------
    params
        The parameters by name.
    seen
        How each looked when the optimizer was given it.
    state
        For every parameter the other arrays that a step writes, by what errors call them.
    copies
        Of some parameters, in half precision.
    """

    def __init__(
        self,
        params: Mapping[str, Array],
        seen: Mapping[str, Look],
        state: Sequence[Mapping[str, Array]],
        copies: Copies = NO_COPIES,
    ) -> None:
        self._names = list(params)
        self._params = list(params.values())
        self._seen = [seen[name] for name in params]
        self._copies = copies
        self._held = held([*self._params, *copies.arrays.values()])
        self._state = [
            [(what, array, address(array)) for what, array in of_one.items()] for of_one in state
        ]
        self._ranges: Ranges | None = None

    def __call__(self, i: int, gradient: object) -> Array:
        """Raise TypeError or ValueError, naming the parameter, where `gradient` is none of it."""
        name, param = self._names[i], self._params[i]
        array = as_array(name, gradient)  # anybody's code may run here, and nowhere below
        check_unchanged(f"parameter {name!r}", param, self._seen[i])
        self.check_state(i)
        if not is_bfloat16(array.dtype) and array.dtype.newbyteorder("=") not in READABLE:
            raise TypeError(
                f"gradient {name!r} has dtype {array.dtype}; expected float16, bfloat16, float32 "
                f"or float64. {towards_floats(gradient, array.dtype, compute_dtype(param))}"
            )
        if array.shape != param.shape:
            raise ValueError(
                f"gradient {name!r} has shape {array.shape}; expected {param.shape}, the shape of "
                f"its parameter.{turned(array.shape, param.shape)}"
            )
        near = self._near(array)
        if any(np.shares_memory(array, owned) for owned in near):
            raise ValueError(
                f"gradient {name!r} shares memory with a parameter, its copy or its state, which "
                "the step overwrites. "
                f"Pass a copy: {'g.clone()' if is_torch(gradient) else 'g.copy()'}."
            )
        # What belongs to another object, a tensor say, may be gone once other code has run.
        own = not near and isinstance(gradient, np.ndarray)
        return plain(array if own else array.copy(order="K"))

    def check_state(self, i: int) -> None:
        """Raise a ValueError where a step can no longer write what goes with parameter `i`."""
        self._copies.check(self._names[i])
        for what, array, where in self._state[i]:
            check_writeable(what, array)
            if address(array) != where:
                raise ValueError(
                    f"{what} is no longer on the memory that the optimizer gave it; make a new "
                    "optimizer, and write values into its state: array[...] = values"
                )

    def _near(self, array: Array) -> list[Array]:
        """The arrays that a step writes between the first and the last byte of this one."""
        if self._ranges is None:
            state = [array for of_one in self._state for _, array, _ in of_one]
            self._ranges = Ranges((*self._params, *self._copies.arrays.values(), *state))
        return list(self._ranges.near(array))


def turned(came: tuple[int, ...], expected: tuple[int, ...]) -> str:
    """What makes one shape the other, where that is plain."""
    if came == expected[::-1]:
        return " It is transposed: pass g.T."
    if [n for n in came if n != 1] == [n for n in expected if n != 1]:
        return f" Only axes of length 1 differ: pass g.reshape({expected})."
    return ""


def plain(array: Array) -> Array:
    """`array` with NumPy's own object for its dtype, in this machine's byte order."""
    own = np.dtype(array.dtype.type)
    if array.dtype is own:
        return array
    return array.view(own) if array.dtype.isnative else array.astype(own)


def as_array(name: str, gradient: object) -> Array:
    """`gradient` as an ndarray, through NumPy's, DLPack's or ``__array__``'s way."""
    if isinstance(gradient, np.ma.MaskedArray):
        raise TypeError(
            f"gradient {name!r} is a masked array, whose mask a step would ignore; decide what "
            "masked entries mean: pass g.filled(0), say"
        )
    if isinstance(gradient, (np.ndarray, np.generic)):
        return np.asarray(gradient)
    if hasattr(gradient, "__dlpack__") or hasattr(gradient, "__array__"):
        return import_array(name, gradient)
    raise TypeError(
        f"gradient {name!r} is a {type(gradient).__name__}; expected an array of its parameter's "
        "shape (an ndarray, or an object with __dlpack__ or __array__), or None for no gradient. "
        + towards_gradient(gradient)
    )


def import_array(name: str, gradient: Any) -> Array:
    if is_torch(gradient):
        if gradient.is_neg():
            gradient = gradient.resolve_neg()  # DLPack cannot say it, and PyTorch does not look
        if str(gradient.dtype) == "torch.bfloat16":
            gradient = gradient.float()  # NumPy has no name for it
    try:
        return with_memory(np.from_dlpack(gradient))
    except Exception:
        # Not every exporter can say everything in DLPack (read-only memory, dtypes); try the other.
        try:
            array = np.asarray(gradient)
            return with_memory(array) if is_torch(gradient) else array
        except Exception as error:
            raise TypeError(
                f"gradient {name!r} is a {type(gradient).__name__} that cannot be read as a CPU "
                f"array ({error}). {towards_gradient(gradient)}"
            ) from error


def with_memory(array: Array) -> Array:
    """`array`, if it lies on another's memory: for a null pointer NumPy takes new memory, unset."""
    if array.size and array.flags.owndata:
        raise ValueError("it has no memory")
    return array
