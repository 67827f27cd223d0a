"""What is stored in narrow formats, as numbers."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from gradstep.optimizer.layout import Layout
from gradstep.optimizer.storage import Kept, stored, values_of
from gradstep.optimizer.turn import Busy, Turn

Array = NDArray[Any]


class StateOfAll:
    """The arrays that an optimizer keeps, as they are stored and as numbers."""

    _turn: Turn
    _layout: Layout

    @property
    def state(self) -> Mapping[str, Mapping[str, Array]]:
        """The live state arrays, as they are stored: ``opt.state[name][slot]``.

        Of bfloat16 they are the bits, in uint16, and of 8 bits the codes: :meth:`state_as` gives
        numbers.
        """
        state = self._refreshed().state
        return MappingProxyType({name: MappingProxyType(of_one) for name, of_one in state.items()})

    @property
    def ema(self) -> Mapping[str, Array]:
        """The live averages of the parameters in groups with ``ema_decay``, as they are stored."""
        return MappingProxyType(self._refreshed().ema)

    def state_as(self, name: str, slot: str, dtype: DTypeLike | None = None) -> Array:
        """A new array of the numbers that the state of a parameter stands for.

        Parameters
        ----------
        name : str
            That of the parameter.
        slot : str
            One of ``opt.state[name]``; ``"param"`` for the parameter itself, together with what
            ``rounding="kahan"`` or ``"split"`` keeps beside it; or ``"ema"`` for its average.
        dtype : "float32", "float64" or None
            None for the one that steps compute with: float64 for float64 parameters, or float32.

        Raises
        ------
        KeyError, TypeError, ValueError
            If there is no such parameter, array or dtype.
        RuntimeError
            If the optimizer is busy.

        Examples
        --------
        >>> import numpy as np, gradstep as gs
        >>> opt = gs.SGD({"w": np.zeros(2, np.float32)}, momentum=0.9, state_dtype="bfloat16")
        >>> info = opt.step({"w": np.array([1.0, 0.3], np.float32)})
        >>> opt.state["w"]["momentum_buffer"]
        array([16256, 16026], dtype=uint16)
        >>> opt.state_as("w", "momentum_buffer")
        array([1.        , 0.30078125], dtype=float32)
        """
        return self._turn.during("state_as()", numbers, self._layout, name, slot, dtype)

    def _refreshed(self) -> Layout:
        """In line with the hyperparameters, as a running step has brought it already."""
        layout = self._layout
        if layout.chosen.settings is not layout.prepared_for:
            with suppress(Busy):
                self._turn.during("reading", layout.refresh)
        return layout


def numbers(layout: Layout, name: str, slot: str, dtype: DTypeLike | None) -> Array:
    """What :meth:`StateOfAll.state_as` returns. The caller has the turn."""
    layout.refresh()
    if name not in layout.params:
        raise KeyError(f"there is no parameter {name!r}; these are: {', '.join(layout.params)}")
    if slot == "trailing_bits":
        raise ValueError(
            "trailing_bits are no numbers; the parameter's float32 numbers, of which they are the "
            f"lower half, are state_as({name!r}, 'param')"
        )
    there = ["param", *(["ema"] if name in layout.ema else []), *layout.state[name]]
    if slot not in there:
        raise KeyError(f"{name!r} has no {slot!r}; it has: {', '.join(there)}")
    values = decoded(layout, name, slot)
    wanted = values.dtype if dtype is None else np.dtype(dtype)
    if wanted not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise ValueError(f"dtype must be 'float32' or 'float64', got {str(wanted)!r}")
    return np.array(values, wanted, order="K")


def decoded(layout: Layout, name: str, key: str) -> Array:
    """An array of a parameter's state, ``"param"`` or ``"ema"``, in the compute type; perhaps the
    live one."""
    kept = Kept(layout.params[name], layout.state[name], layout.formats[name])
    if key == "param":
        return kept.values_of_param()
    if key == "ema":
        return values_of(stored(layout.ema[name], kept.formats["ema"]))
    return values_of(kept.stored(key))
