"""Thinc's Optimizer, whose steps are gradstep's."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from thinc import optimizers
from thinc.backends import get_ops
from thinc.util import to_numpy

from gradstep import runtime
from gradstep.arrays.memory import allocate
from gradstep.thinc.numbers import numbers
from gradstep.thinc.recipe import Recipe, Row, Values
from gradstep.thinc.table import step_by_table

Array = NDArray[Any]
Key = tuple[int, str]

PLACES = {"mom1": 0, "mom2": 1, "averages": 2}  # see arrays.memory.allocate


class Optimizer(optimizers.Optimizer):
    """:class:`thinc.optimizers.Optimizer`, with one pass over memory for the step of a tensor.

    It takes the same arguments, has the same attributes and leads to the same weights but for
    rounding. State is where Thinc keeps it, in ``mom1``, ``mom2``, ``averages`` and ``nr_update``
    by key. In every call it is looked up there, and the arrays are looked at: they may be others
    than before.

    Examples
    --------
    >>> import numpy as np
    >>> from gradstep.thinc import Adam
    >>> opt = Adam(0.1, use_averages=False)
    >>> weights, gradient = np.zeros(2, np.float32), np.array([0.3, -0.2], np.float32)
    >>> weights, gradient = opt((0, "W"), weights, gradient)
    >>> weights.round(4), gradient
    (array([-0.1,  0.1], dtype=float32), array([0., 0.], dtype=float32))
    """

    __slots__ = ("_made",)

    def __init__(self, learn_rate: Any, **options: Any) -> None:
        super().__init__(learn_rate, **options)
        self._made: Any = None, None

    def __call__(
        self, key: Key, weights: Any, gradient: Any, *, lr_scale: float = 1.0
    ) -> tuple[Any, Any]:
        """Update weights in place and set their gradient to zero; returns both.

        Parameters
        ----------
        key
            What stands for the weights: the number of a model and the name of a parameter.
        weights : array
            float32 or float64. Where they do not lie in C's order a copy is updated and returned.
            On a GPU they are updated by Thinc's own code.
        gradient : array
            Of the same shape.
        lr_scale : float ≥ 0
            Factor on the step size; RAdam's step takes none, as in Thinc.

        Raises
        ------
        TypeError, ValueError
            If an array or a hyperparameter is not legal. Nothing has been changed then.
        """
        if not isinstance(weights, np.ndarray):
            updated: tuple[Any, Any] = super().__call__(key, weights, gradient, lr_scale=lr_scale)
            return updated
        if len(gradient) < 1:
            return weights, gradient
        counts, averages = self.nr_update, self.averages
        t = counts.get(key, 0) + 1
        wanted = (
            *numbers(self, key), self.L2_is_weight_decay, self.use_radam, lr_scale,
            averages is not None, runtime.table_type,
        )  # fmt: skip
        made_for, recipe = self._made
        if wanted != made_for:
            recipe = Recipe(Values(*wanted[:-1]), before=recipe)
            self._made = wanted, recipe
        average = None
        try:
            slots = (self.mom1[key], self.mom2[key]) if recipe.has_state else ()
            if averages is not None:
                average = averages[key]
        except KeyError:
            return self._with_new_state(recipe, key, weights, gradient, lr_scale)
        row = recipe.row(t)
        if not recipe.take(row, weights, gradient, slots, average, counts, key, t):
            weights = self._by_table(recipe, row, key, weights, gradient)
            counts[key] = t
        return weights, gradient

    def _kept(self, recipe: Recipe) -> dict[str, dict[Key, Array]]:
        """What is kept of weights beside their count, by what it is called."""
        kept = {"mom1": self.mom1, "mom2": self.mom2} if recipe.has_state else {}
        return kept if self.averages is None else {**kept, "averages": self.averages}

    def _with_new_state(
        self, recipe: Recipe, key: Key, weights: Array, gradient: Array, lr_scale: float
    ) -> tuple[Array, Array]:
        new = [(what, kept) for what, kept in self._kept(recipe).items() if key not in kept]
        like = np.ascontiguousarray(weights)
        for what, kept in new:
            zeros = allocate(like, 0.0, PLACES[what])
            kept[key] = zeros if what == "averages" else zeros.reshape(-1)
        try:
            return self(key, weights, gradient, lr_scale=lr_scale)
        except (TypeError, ValueError):
            for _, kept in new:
                del kept[key]
            raise

    def _by_table(
        self, recipe: Recipe, row: Row, key: Key, weights: Array, gradient: Array
    ) -> Array:
        if not weights.flags.c_contiguous:
            weights = np.ascontiguousarray(weights)
        state = {what: kept[key] for what, kept in self._kept(recipe).items()}
        step_by_table(recipe, row, key, weights, gradient, state)
        gradient[...] = 0.0
        return weights

    def to_gpu(self) -> None:
        """Move the state to the GPU that Thinc uses, beside weights that are there."""
        self._move(get_ops("cupy").asarray)

    def to_cpu(self) -> None:
        """Move the state into the CPU's memory."""
        self._move(to_numpy)

    def _move(self, moved: Any) -> None:
        for kept in (self.mom1, self.mom2, self.averages or {}):
            kept.update({key: moved(array) for key, array in kept.items()})

    def __getstate__(self) -> dict[str, Any]:
        there = [name for name in optimizers.Optimizer.__slots__ if hasattr(self, name)]
        return {name: getattr(self, name) for name in there}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)
        self._made = None, None
