"""Slow weights beside the parameters of an optimizer, and the table that brings both together."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import partial
from operator import setitem
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.arrays.at_once import Change, filled
from gradstep.arrays.memory import address, allocate, flat, memory_order
from gradstep.arrays.parameters import check_writeable
from gradstep.method.method import Method, WithAverage
from gradstep.method.rows import draws, key_of
from gradstep.optimizer.averages import Pair
from gradstep.optimizer.decoding import decoded
from gradstep.optimizer.front import Optimizer
from gradstep.optimizer.half_copies import bits
from gradstep.optimizer.layout import Layout
from gradstep.optimizer.rows_of_step import Rows
from gradstep.optimizer.state_checks import check_array
from gradstep.optimizer.storage import Kept, is_narrow, rounded_as
from gradstep.values import check_count, check_entries, check_finite, own_dict, reading

Array = NDArray[Any]

NO_LIMITS = (1.0, math.inf, math.inf, math.inf, 1.0, math.inf)
NO_PENALTIES, NO_AVERAGE = (0.0, 1.0, 0.0), (1.0, 0.0)


class SlowWeights(Mapping[str, Array]):
    """The live slow weights by the parameters' names, in float32 or float64.

    As an object with a state of its own they go into a checkpoint beside the optimizer within:
    ``gs.save(path, opt.optimizer, slow=opt.slow)``.
    """

    def __init__(self, opt: Optimizer, k: int, alpha: float) -> None:
        self._opt = opt
        self.k, self.alpha = check_k(k), check_alpha(alpha)
        self._arrays: dict[str, Array] = {}
        self._addresses: dict[str, int] = {}
        self._synced_at = opt.steps
        self._forget_table()
        self.add_new()

    def __getitem__(self, name: str) -> Array:
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def __repr__(self) -> str:
        return f"SlowWeights({', '.join(map(repr, self._arrays))})"

    def add_new(self) -> None:
        """Begin those of parameters that have none, at the parameters."""
        layout = self._opt._layout
        if len(layout.params) == len(self._arrays):
            return
        new = {}
        for name in layout.params:
            if name not in self._arrays:
                new[name] = slow_array(layout, name)
                new[name][...] = decoded(layout, name, "param")
        addresses = {name: address(slow) for name, slow in new.items()}
        self._addresses = self._addresses | addresses
        self._arrays = self._arrays | new

    def is_due(self) -> bool:
        steps = self._opt._layout.steps
        if steps < self._synced_at:  # an earlier state was loaded into the optimizer within
            self._synced_at = steps
        return steps - self._synced_at >= self.k

    def check_next(self) -> None:
        """Raise a ValueError where both meet after the next step and cannot be written then."""
        if self._opt._layout.steps + 1 - self._synced_at >= self.k:
            self.check()

    def check(self) -> None:
        """Raise a ValueError where slow weights cannot be written."""
        for name, slow in self._arrays.items():
            what = f"the slow weights of {name!r}"
            check_writeable(what, slow)
            if address(slow) != self._addresses[name]:
                raise ValueError(
                    f"{what} are no longer on the memory that they were made on; make a new "
                    "Lookahead, and write values into its slow weights: opt.slow[name][...] = "
                    "values"
                )

    def settle(self) -> None:
        """Bring both together, if so many steps have been taken. May be called again."""
        if self.is_due():
            self._opt._turn.during("Lookahead's step()", self._pull)

    def _pull(self) -> None:
        if not self.is_due():
            return
        layout = self._opt._layout
        if self._table_of is not layout.table:
            self._make_table(layout)
        table, steps, rows = self._table, layout.steps, self._rows(layout)
        try:
            table.step(self._unread, rows, 1.0, False, False)
        except BaseException:
            # An interrupt waits for the kernels.
            if table.last_step[0] is rows:
                self._synced_at = steps
            raise
        self._synced_at = steps

    def _rows(self, layout: Layout) -> Rows:
        parts = (NO_LIMITS, NO_PENALTIES, NO_AVERAGE, {"alpha": self.alpha})
        rows: Rows = []
        for group, plan in zip(layout.groups, layout.plans, strict=True):
            drawn = draws(group["seed"], layout.steps) if plan.rounding == "stochastic" else None
            rows.append((parts, {}) if drawn is None else (parts, {}, drawn))
        return rows

    def _forget_table(self) -> None:
        self._table: Any = None
        self._table_of: Any = None
        self._unread: list[Array] = []

    def _make_table(self, layout: Layout) -> None:
        self.add_new()
        place_of = {name: i for i, group in enumerate(layout.groups) for name in group.names}
        params, named = [], []
        for name, param in layout.params.items():
            kept = Kept(param, layout.state[name], layout.formats[name])
            params.append(kept.of_param(layout.plans[place_of[name]].rounding))
            named.append({f"the slow weights of {name!r}": self._arrays[name]})
        table = layout.table_type(
            params,
            [[self._arrays[name]] for name in layout.params],
            [[]] * len(params),
            [None] * len(params),
            [layout.copies.stored(name) for name in layout.params],
            [key_of(f"the slow weights of {name}") for name in layout.params],
            layout._reader(named),
        )
        rules = [("lookahead", False, False)] * len(layout.groups)
        table.assign(rules, [place_of[name] for name in layout.params])
        unread = unread_gradients(list(layout.params.values()))
        self._table, self._table_of, self._unread = table, layout.table, unread

    def pairs(self) -> list[Pair]:
        """What is exchanged while parameters hold the slow weights."""
        layout = self._opt._layout
        layout.check_params(layout.params)
        pairs: list[Pair] = []
        for name, slow in self._arrays.items():
            check_writeable(f"the slow weights of {name!r}", slow)
            param, copy = layout.params[name], layout.copies.arrays.get(name)
            if copy is not None:
                pairs.append((bits(copy), bits(rounded_as(copy, slow))))
            if is_narrow(param):
                pairs.append((bits(param), bits(rounded_as(param, slow))))
            else:
                pairs.append((flat(param), flat(slow)))
        return pairs

    def state_dict(self) -> dict[str, Any]:
        """The slow weights, copied, and when they were last brought together with the fast ones."""
        weights = {name: slow.copy(order="K") for name, slow in self._arrays.items()}
        numbers = {"k": self.k, "alpha": self.alpha, "synced_at": self._synced_at}
        return numbers | {"weights": weights}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue where :meth:`state_dict` was taken; an error where it does not fit."""
        for change in self.changes(state_dict):
            change()

    def changes(self, state_dict: Mapping[str, Any]) -> list[Change]:
        """Those that make it the state; nobody's code runs within them."""
        given = check_entries(state_dict, "k", "alpha", "synced_at", "weights")
        k, alpha = check_k(given["k"]), check_alpha(given["alpha"])
        synced_at = check_count("synced_at", given["synced_at"], 0)
        with reading("weights"):
            weights = own_dict(given["weights"])
        self.add_new()
        if not isinstance(weights, dict) or weights.keys() != self._arrays.keys():
            raise ValueError(
                f"the slow weights must be a dict of arrays for {list(self._arrays)}, got "
                f"{list(weights) if isinstance(weights, dict) else type(weights).__name__}"
            )
        made: list[Change] = []
        for name, slow in self._arrays.items():
            what = f"the slow weights of {name!r}"
            check_array(f"{what} in it", weights[name], slow.shape, [slow.dtype.name])
            check_writeable(what, slow)
            made.append(filled(slow, weights[name].copy()))
        numbers = {"k": k, "alpha": alpha, "_synced_at": synced_at}
        return [*made, *(partial(setitem, vars(self), n, v) for n, v in numbers.items())]

    def __getstate__(self) -> dict[str, Any]:
        tables = ("_table", "_table_of", "_unread")
        return {name: value for name, value in vars(self).items() if name not in tables}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        layout, given = self._opt._layout, self._arrays
        self._arrays = {name: slow_array(layout, name) for name in given}
        for name, slow in self._arrays.items():
            slow[...] = given[name]
        self._addresses = {name: address(slow) for name, slow in self._arrays.items()}
        self._forget_table()


def slow_array(layout: Layout, name: str) -> Array:
    """Zeros in the type that the parameter is computed with."""
    param = layout.params[name]
    dtype = np.float64 if param.dtype == np.float64 else np.float32
    return allocate(param, 0.0, len(layout.state.get(name, ())) + 1, dtype)


def unread_gradients(params: list[Array]) -> list[Array]:
    """Gradients for a rule that reads none: views of zeros in pages that nobody has touched."""
    zeros = np.zeros(max((param.size for param in params), default=0) * 8, np.uint8)
    views = []
    for param in params:
        dtype = np.dtype(np.float64 if param.dtype == np.float64 else np.float32)
        values = zeros[: param.size * dtype.itemsize].view(dtype)
        views.append(values.reshape(param.shape, order=memory_order(param)))
    return views


def check_steps_from_params(method: Method, kind: str) -> None:
    """Raise a TypeError where steps do not go on from wherever the parameters are put."""
    if isinstance(method, WithAverage):
        raise TypeError(
            f"opt must not be a {kind}: its parameters stand between an average and another "
            "sequence in its state, which slow weights written over them would tear apart, and it "
            "averages already. Use it alone, or Lookahead around another optimizer"
        )


def check_k(value: Any) -> int:
    return check_count("k", value)


def check_alpha(value: Any) -> float:
    alpha = check_finite("alpha", value, 0.0)
    if alpha > 1.0:
        raise ValueError(f"alpha must be a number in [0, 1], got {value!r}")
    return alpha
