"""The point that momentum leads to: parameters moved there, and put back bit for bit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from gradstep.arrays.at_once import at_once, filled
from gradstep.arrays.loans import lent
from gradstep.arrays.memory import flat, held
from gradstep.method.method import WithVelocity
from gradstep.optimizer.decoding import decoded
from gradstep.optimizer.front import Optimizer
from gradstep.optimizer.half_copies import bits
from gradstep.optimizer.storage import rounded_as
from gradstep.optimizer.turn import STEP
from gradstep.reference.arithmetic import subtract_scaled


class NesterovPoint(Optimizer):
    """An optimizer whose ``momentum_buffer`` says where the next step leads."""

    method: ClassVar[WithVelocity] = WithVelocity()

    @contextmanager
    def lookahead(self) -> Iterator[None]:
        """Within the ``with`` block the parameters stand at θ − lr·μ·v, where momentum leads.

        Evaluating the gradient there and stepping with plain momentum is Nesterov's method in its
        textbook form (Sutskever et al. 2013; Goodfellow et al. 2016, algorithms 8.3 and 8.6).
        Afterwards the parameters are restored bit for bit. Copies follow them.

        Raises
        ------
        RuntimeError
            If :meth:`Optimizer.step` is called within the block.
        ValueError
            With ``nesterov=True``, whose steps lead there by themselves: it would be led twice.
            If a parameter is not what it was, or is not writeable any more. Nothing has been
            changed then.

        Examples
        --------
        >>> import numpy as np, gradstep as gs
        >>> w = np.array([1.0])
        >>> opt = gs.SGD(w, lr=0.1, momentum=0.5)
        >>> info = opt.step(np.array([2.0]))
        >>> with opt.lookahead():
        ...     ahead = w.copy()
        >>> ahead, w
        (array([0.7]), array([0.8]))
        """
        mine: list[None] = []
        give = self._turn.give
        try:
            self._turn.take_for("lookahead()", mine)
            layout = self._layout
            if any(group.get("nesterov") for group in layout.groups):
                raise ValueError(
                    "lookahead() with nesterov=True would lead twice: a step with it holds the "
                    "parameters at the point ahead already. Set opt.nesterov = False."
                )
            factors = [self.method.lead(group.at(self.steps)) for group in layout.groups]
            moved = {
                name: factor
                for group, factor in zip(layout.groups, factors, strict=True)
                for name in group.names
                if "momentum_buffer" in layout.state[name]
            }
            layout.check_params(moved)
            params = [flat(layout.params[name]) for name in moved]
            ahead = []
            for name, factor in moved.items():
                values = decoded(layout, name, "param").copy(order="K")
                subtract_scaled(values, factor, decoded(layout, name, "momentum_buffer"))
                ahead.append(flat(rounded_as(layout.params[name], values)))
                if (copy := layout.copies.arrays.get(name)) is not None:
                    params.append(bits(copy))
                    ahead.append(bits(rounded_as(copy, values)))
            there = at_once(map(filled, params, ahead))
            back = at_once(map(filled, params, [param.copy() for param in params]))
            memory = held(params)  # nobody can resize it meanwhile
            try:
                there()
                with lent("lookahead()", params):
                    yield
            finally:
                back()
                del memory
        finally:
            if mine:
                self._turn.now = STEP
                give(None)
