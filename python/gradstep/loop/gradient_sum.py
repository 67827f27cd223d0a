"""Gradients of several micro-batches, added up for one step."""

from __future__ import annotations

from functools import partial
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from gradstep.arrays.at_once import at_once, attribute, filled
from gradstep.arrays.memory import Ranges
from gradstep.arrays.parameters import check_writeable
from gradstep.arrays.trees import as_floats, flatten, rebuilt, same_structure

Array = NDArray[Any]


class GradientSum:
    """The sum of the gradients of micro-batches: a step on a batch that does not fit in memory.

    It holds one array per gradient, of float64 for float64 and of float32 for all others, and uses
    them again after :meth:`clear`. Parameters are not copied.

    Examples
    --------
    >>> import numpy as np, gradstep as gs
    >>> w = np.zeros(2, np.float32)
    >>> opt, total = gs.SGD(w, lr=1.0), gs.GradientSum()
    >>> for gradient in ([1.0, 2.0], [3.0, 4.0]):
    ...     total.add(np.array(gradient, np.float32))
    >>> info = opt.step(total.grads, grad_scale=1 / total.count)
    >>> total.clear()
    >>> w
    array([-2., -3.], dtype=float32)
    """

    def __init__(self) -> None:
        self.count = 0  # micro-batches since clear()
        self._structure: Any = None
        self._sums: dict[str, Array] = {}
        self._kept: dict[str, Array] = {}

    @property
    def grads(self) -> Any:
        """The sums, in the structure of what was added; None where all were None.

        Raises
        ------
        RuntimeError
            If nothing was added.
        """
        if not self.count:
            raise RuntimeError("there are no gradients yet; call add() first")
        return rebuilt(self._structure, self._sums)

    def __repr__(self) -> str:
        elements = sum(array.size for array in self._sums.values())
        return f"GradientSum({self.count} added; {len(self._sums)} tensors, {elements:,} elements)"

    def __copy__(self) -> NoReturn:
        raise TypeError("a shallow copy would add into the same sums; use copy.deepcopy(total)")

    def add(self, grads: Any) -> None:
        """Add the gradients of a micro-batch, which are not written.

        Parameters
        ----------
        grads : array, or list, tuple or dict of arrays, nested at will
            float16, bfloat16, float32 or float64, in the same structure and shapes each time until
            :meth:`clear`. None adds nothing.

        Raises
        ------
        TypeError, ValueError
            If it is something else. Nothing has been added then.
        """
        structure, leaves = flatten(grads)
        arrays = {name: as_floats(name, leaf) for name, leaf in leaves.items()}
        # Anybody's code may have run above; nobody's does below.
        if self.count and not same_structure(structure, self._structure):
            raise ValueError(
                f"grads must have the structure of those before, {self._structure!r}; "
                f"got {structure!r}. Call clear() to begin anew."
            )
        before = [name for name in arrays if name in self._sums]
        for name in before:
            if self._sums[name].shape != arrays[name].shape:
                raise ValueError(
                    f"gradient {name!r} has shape {arrays[name].shape}; expected "
                    f"{self._sums[name].shape}, as before. Call clear() to begin anew."
                )
            check_writeable(f"the sum of gradient {name!r}", self._sums[name])
        own = Ranges((self._kept | self._sums).values())
        added = {
            name: array.copy() if own.shared_with(array) else array
            for name, array in arrays.items()
        }
        new = {name: self._begin(name, added[name]) for name in arrays if name not in before}
        changes = [
            partial(np.add, self._sums[name], added[name], self._sums[name]) for name in before
        ]
        changes += [filled(array, added[name]) for name, array in new.items()]
        parts = {
            "_sums": self._sums | new,
            "_structure": self._structure if self.count else structure,
            "count": self.count + 1,
        }
        changes += [attribute(self, name, part) for name, part in parts.items()]
        add = at_once(changes)
        with np.errstate(all="ignore"):
            add()

    def _begin(self, name: str, array: Array) -> Array:
        """An array for the sum of what is like this one."""
        kept = self._kept.get(name)
        fits = kept is not None and (kept.shape, kept.dtype) == (array.shape, array.dtype)
        if kept is None or not (fits and kept.flags.writeable):
            return np.empty_like(array, order="K", subok=False)
        return kept

    def clear(self) -> None:
        """Begin a new sum. The arrays that :attr:`grads` gave will be overwritten."""
        kept = self._kept | self._sums
        self.count, self._kept, self._sums = 0, kept, {}
