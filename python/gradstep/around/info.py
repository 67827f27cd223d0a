"""What a step with a closure reports."""

from __future__ import annotations

from gradstep.optimizer.step_info import StepInfo


class LossInfo(StepInfo):
    """What such a step did: a StepInfo with ``loss`` beside it, that of the first evaluation."""

    loss: float

    def __new__(cls, grad_norm: float | None, skipped: bool, loss: float = 0.0) -> LossInfo:
        info = super().__new__(cls, grad_norm, skipped)
        info.loss = loss
        return info

    def __repr__(self) -> str:
        return f"{super().__repr__()[:-1]}, loss={self.loss!r})"
