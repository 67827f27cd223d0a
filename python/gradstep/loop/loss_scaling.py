"""Dynamic loss scaling, for gradients in float16."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gradstep.optimizer.front import Optimizer
from gradstep.optimizer.step_info import StepInfo
from gradstep.values import check_count, check_entries, check_finite, check_flag, check_grad_scale

# A scale and its reciprocal are normal float32 numbers: a step multiplies with the latter.
SMALLEST, LARGEST = 2.0**-126, 2.0**126


class LossScaler:
    """Multiplies the loss, so that small gradients do not vanish, and undoes it in the step.

    Gradients are divided by ``scale`` and looked at for overflow in the pass that computes their
    norm. Where one is not finite nothing is changed, neither parameters nor state nor step counts,
    and the scale is multiplied with `backoff_factor`; after `growth_interval` good steps in a row
    it is multiplied with `growth_factor`, but never leaves [2⁻¹²⁶, 2¹²⁶]. PyTorch's GradScaler does
    the same.

    Parameters
    ----------
    init_scale : float in [2⁻¹²⁶, 2¹²⁶]
    growth_factor : float > 1
    backoff_factor : float in (0, 1)
    growth_interval : int ≥ 1

    Examples
    --------
    >>> import numpy as np, gradstep as gs
    >>> w = np.ones(2, np.float32)
    >>> opt, scaler = gs.SGD(w, lr=0.5), gs.LossScaler(init_scale=1024.0)
    >>> scaler.step(opt, (scaler.scale * np.ones(2)).astype(np.float16)).skipped, w
    (False, array([0.5, 0.5], dtype=float32))
    >>> scaler.step(opt, np.array([np.inf, 0.0], np.float16)).skipped, scaler.scale
    (True, 512.0)

    Several optimizers whose gradients come from one scaled loss share a scale, which changes once,
    after all of them; it backs off if any of them skipped its step:

    >>> other = gs.SGD(np.ones(2, np.float32), lr=0.5)
    >>> for each in (opt, other):
    ...     info = scaler.step(each, np.array([np.inf, 0.0], np.float16), update=False)
    >>> scaler.update()
    >>> scaler.scale
    256.0
    """

    def __init__(
        self,
        init_scale: float = 65536.0,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
    ) -> None:
        self.growth_factor = check_finite("growth_factor", growth_factor, 1.0, above_low=True)
        self.backoff_factor = check_finite("backoff_factor", backoff_factor, 0.0, above_low=True)
        if self.backoff_factor >= 1.0:
            raise ValueError(f"backoff_factor must be a number in (0, 1), got {backoff_factor!r}")
        self.growth_interval = check_count("growth_interval", growth_interval)
        self.scale = check_scale("init_scale", init_scale)
        self.good_steps = 0  # in a row, since the scale last changed
        self._skipped: list[bool] = []  # since the last update

    def step(
        self, opt: Optimizer, grads: Any, *, grad_scale: float = 1.0, update: bool = True
    ) -> StepInfo:
        """``opt.step`` with gradients of the scaled loss; then the next scale, unless `update` is
        False: then call :meth:`update` after the steps of all optimizers.

        Raises
        ------
        TypeError
            If all gradients are bfloat16, which has float32's range: their loss needs no scale. Or
            where ``opt.step`` raises one. Nothing has been changed then.
        """
        check_flag("update", update)
        if not hasattr(opt, "_layout"):
            raise TypeError(
                f"opt must be an optimizer of one process, got a {type(opt).__name__}; give the "
                "step of others grad_scale=1 / scale and skip_nonfinite=True yourself"
            )
        refuse_bfloat16(opt, grads)
        grad_scale = check_grad_scale(grad_scale) / self.scale
        info = opt.step(grads, grad_scale=grad_scale, skip_nonfinite=True)
        skipped = [*self._skipped, info.skipped]
        if update:
            self._take_over(skipped)
        else:
            self._skipped = skipped
        return info

    def update(self) -> None:
        """The next scale, after one or more steps with ``update=False``.

        Raises
        ------
        RuntimeError
            If there was no step since the last update.
        """
        if not self._skipped:
            raise RuntimeError(
                "there was no step since the last update; call step(opt, grads, update=False) first"
            )
        self._take_over(self._skipped)

    def _take_over(self, skipped: Sequence[bool]) -> None:
        scale, good_steps = self.scale, self.good_steps + 1
        if any(skipped):
            scale, good_steps = max(scale * self.backoff_factor, SMALLEST), 0
        elif good_steps >= self.growth_interval:
            grown, good_steps = scale * self.growth_factor, 0
            scale = grown if grown <= LARGEST else scale
        self.scale, self.good_steps, self._skipped = scale, good_steps, []

    def __repr__(self) -> str:
        return (
            f"LossScaler(scale={self.scale!r}, good_steps={self.good_steps} of "
            f"{self.growth_interval}, growth_factor={self.growth_factor!r}, "
            f"backoff_factor={self.backoff_factor!r})"
        )

    def state_dict(self) -> dict[str, float]:
        """The scale and the number of good steps, as plain numbers. Take it after an update."""
        return {"scale": self.scale, "good_steps": self.good_steps}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue where :meth:`state_dict` was taken.

        Raises
        ------
        TypeError, ValueError
            If it is no such state. Nothing has been changed then.
        """
        entries = check_entries(state_dict, "scale", "good_steps")
        scale = check_scale("scale", entries["scale"])
        good_steps = check_count("good_steps", entries["good_steps"], 0)
        self.scale, self.good_steps, self._skipped = scale, good_steps, []


def refuse_bfloat16(opt: Optimizer, grads: Any) -> None:
    """Raise a TypeError where no gradient can be one that a scale keeps from vanishing."""
    given = [gradient for gradient in opt._layout.align(grads) if gradient is not None]
    bfloat16 = "bfloat16", "torch.bfloat16"
    if given and all(str(getattr(gradient, "dtype", None)) in bfloat16 for gradient in given):
        raise TypeError(
            "a LossScaler is for gradients that may have vanished in float16, and all of these "
            "are bfloat16, which has float32's range; leave the loss as it is, and call "
            "opt.step(grads, skip_nonfinite=True)"
        )


def check_scale(name: str, value: Any) -> float:
    scale = check_finite(name, value, 0.0, above_low=True)
    if not SMALLEST <= scale <= LARGEST:
        raise ValueError(f"{name} must be a number in [2**-126, 2**126], got {value!r}")
    return scale
