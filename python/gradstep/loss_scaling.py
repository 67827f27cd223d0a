"""Dynamic loss scaling, for gradients in float16."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gradstep.checks import check_count, check_finite
from gradstep.optimizers.base import Optimizer
from gradstep.optimizers.step_info import StepInfo


class LossScaler:
    """Multiplies the loss, so that small gradients do not vanish, and undoes it in the step.

    Gradients are divided by ``scale`` and looked at for overflow in the pass that computes their
    norm. Where one is not finite nothing is changed, neither parameters nor state nor step counts,
    and the scale is multiplied with `backoff_factor`; after `growth_interval` good steps in a row
    it is multiplied with `growth_factor`. PyTorch's GradScaler does the same.

    Parameters
    ----------
    init_scale : float > 0
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
    """

    def __init__(
        self,
        init_scale: float = 65536.0,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
    ) -> None:
        check_finite("init_scale", init_scale, 0.0, above_low=True)
        check_finite("growth_factor", growth_factor, 1.0, above_low=True)
        check_finite("backoff_factor", backoff_factor, 0.0, above_low=True)
        if backoff_factor >= 1.0:
            raise ValueError(f"backoff_factor must be a number in (0, 1), got {backoff_factor!r}")
        check_count("growth_interval", growth_interval)
        self.scale = float(init_scale)
        self.growth_factor, self.backoff_factor = growth_factor, backoff_factor
        self.growth_interval = growth_interval
        self.good_steps = 0  # in a row, since the scale last changed

    def step(self, opt: Optimizer, grads: Any, *, grad_scale: float = 1.0) -> StepInfo:
        """``opt.step`` with gradients of the scaled loss; then the next scale."""
        info = opt.step(grads, grad_scale=grad_scale / self.scale, skip_nonfinite=True)
        if info.skipped:
            self.scale *= self.backoff_factor
            self.good_steps = 0
        else:
            self.good_steps += 1
            if self.good_steps >= self.growth_interval:
                self.scale *= self.growth_factor
                self.good_steps = 0
        return info

    def state_dict(self) -> dict[str, float]:
        """The scale and the number of good steps, as plain numbers."""
        return {"scale": self.scale, "good_steps": self.good_steps}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue where :meth:`state_dict` was taken."""
        if set(state_dict) != {"scale", "good_steps"}:
            raise ValueError(f"state_dict must hold scale and good_steps, got {state_dict!r}")
        check_finite("scale", state_dict["scale"], 0.0, above_low=True)
        check_count("good_steps", state_dict["good_steps"], 0)
        self.scale = float(state_dict["scale"])
        self.good_steps = int(state_dict["good_steps"])
