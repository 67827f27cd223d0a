"""What a step that evaluates closures reports."""

from __future__ import annotations

from typing import NamedTuple


class ClosureInfo(NamedTuple):
    """What a step with a closure did.

    ``grad_norm`` (Euclidean, of all gradients) and ``loss`` are those where the parameters were
    last evaluated: with a line search that is where they are now, without one the last of
    ``max_iter`` moves is not evaluated any more. Of a step that was skipped, ``loss`` is what made
    that so, and ``grad_norm`` is None.
    """

    grad_norm: float | None
    #: Whether the step changed nothing, as losses or gradients were not finite.
    skipped: bool
    loss: float
    #: The loss before the step.
    first_loss: float
    iterations: int
    #: Calls of the closure.
    evaluations: int
    #: Why the step ended: ``"gradient"`` (its largest element is at most ``tolerance_grad``),
    #: ``"slope"`` (the direction does not lead down by more than ``tolerance_change``),
    #: ``"change"`` (parameters or loss changed by no more than ``tolerance_change``),
    #: ``"max_iter"``, ``"max_eval"``, or ``"nonfinite"``.
    stopped: str
    #: How the last line search ended: ``"wolfe"`` (both conditions hold), ``"interval"`` (what is
    #: left to search moves no parameter by 1e-9), ``"max_eval"``; None where there was none.
    line_search: str | None


class NotFinite(Exception):
    """A loss or gradient that no step can go by."""
