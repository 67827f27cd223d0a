"""What a step reports."""

from __future__ import annotations

from typing import NamedTuple


class StepInfo(NamedTuple):
    """What a step did.

    ``grad_norm`` is the Euclidean norm of all gradients times ``grad_scale``, before clipping, or
    None where nothing asked for it. ``skipped`` says that the step changed nothing, because of
    ``skip_nonfinite``.
    """

    grad_norm: float | None
    skipped: bool


DONE = StepInfo(None, False)
