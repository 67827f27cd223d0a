"""Schedule-free SGD and AdamW: averaging in the place of a schedule."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from gradstep.method.hyperparameters import Number, decays
from gradstep.method.method import WithAverage
from gradstep.method.slots import Slot
from gradstep.values import power

WARMUP_STEPS = Number(0.0, "For so many steps lr rises linearly to what it is then.")
R = Number(0.0, "Weight steps in the average by tʳ.")
WEIGHT_LR_POWER = Number(2.0, "q: weight them by the q-th power of the largest lr so far.")


class ScheduleFree(WithAverage):
    """A method that trains y between z, which takes its steps, and x, the average of z."""

    z = Slot(values="exact")
    lr_power_max = Slot(kind="scalar", format="float64")
    weight_sum = Slot(kind="scalar", format="float64")

    average_from = "z"

    def beta(self, h: Mapping[str, Any]) -> float:
        """How far y is from z to x."""
        raise NotImplementedError

    def beyond(self, h: Mapping[str, Any]) -> float:
        """The factor f of the point y + f·(z − y), which is x."""
        return 1.0 - 1.0 / self.beta(h)

    def check(self, h: Mapping[str, Any]) -> None:
        """Raise a ValueError where an option would act on y alone, or there is no x."""
        for option in ("decoupled_weight_decay", "l1"):
            if h[option]:
                raise ValueError(
                    f"{option} would change y alone, of which x and z know nothing; leave it out: "
                    "weight_decay acts within the steps of z"
                )
        if h["ema_decay"] is not None:
            raise ValueError(
                "ema_decay would average y, and this optimizer has an average of its own; leave it "
                "out: with opt.swap_averages() the parameters hold that"
            )
        if callable(self.beta(h)):
            raise ValueError(
                "momentum, or betas[0], must be a number: y lies between z and x by it, and would "
                "not follow a schedule; give the number"
            )
        if self.beta(h) == 0:
            raise ValueError(
                "momentum, or betas[0], must be > 0: at 0 gradients are taken at z, and x is not "
                "known; use 0.9, or SGD or AdamW with ema_decay=schedules.equal_average(0)"
            )

    def step_coefficients(self, rule: str, h: Mapping[str, Any], t: int) -> dict[str, float]:
        warmup = h["warmup_steps"]
        lr = h["lr"] * (t / warmup if t < warmup else 1.0)
        return {
            "lr": lr,
            "lr_power": power(lr, h["weight_lr_power"]),
            "polynomial": power(float(t), h["r"]),
            "start": 1.0 if t == 1 else 0.0,
        }


class ScheduleFreeSGD(ScheduleFree):
    r"""Schedule-free SGD: as good as with a schedule, without knowing when training ends.

    ::

        y ← y + c·(z − y) + lr·(β·(1−c) − 1)·g          z ← z − lr·g

    where c = wₜ/Σw, w = tʳ·lr^q, and y = (1−β)·z + β·x are the parameters, at which gradients are
    taken. What is evaluated and deployed is x, the average of z: ``with opt.swap_averages():``.

    Notes
    -----
    State: 4 bytes per float32 parameter (``z``) and two numbers per tensor. Constant lr, larger
    than that of SGD; batch norm's running means belong to x: compute them anew before evaluating.
    ``decoupled_weight_decay`` and ``l1`` would change y alone, and ``ema_decay`` would average it:
    all three are refused, as is ``momentum=0``, at which x is not known.

    Defazio et al., "The Road Less Scheduled", NeurIPS 2024, arXiv:2405.15682.

    Examples
    --------
    >>> import numpy as np, gradstep as gs
    >>> w = np.array([1.0])
    >>> opt = gs.ScheduleFreeSGD(w, lr=0.5)
    >>> for _ in range(20):
    ...     info = opt.step(2 * w)
    >>> with opt.swap_averages():
    ...     x = w.copy()
    >>> bool(abs(x[0]) < 0.1)
    True
    """

    lr = Number(1.0, "Step size of z.")
    momentum = Number(0.9, "β: where between z and x gradients are taken.", high=1.0)
    weight_decay = Number(0.0, "Coupled (L2), with y.")
    warmup_steps = WARMUP_STEPS
    r = R
    weight_lr_power = WEIGHT_LR_POWER

    def rule(self, h: Mapping[str, Any]) -> str:
        self.check(h)
        return "schedule_free_sgd"

    def beta(self, h: Mapping[str, Any]) -> float:
        beta: float = h["momentum"]
        return beta

    def coefficients(self, rule: str, h: Mapping[str, Any]) -> dict[str, float]:
        return {"beta": h["momentum"]}


class ScheduleFreeAdamW(ScheduleFree):
    r"""Schedule-free AdamW: as good as with a schedule, without knowing when training ends.

    ::

        v ← β2·v + (1−β2)·g²             u = g/(√v/√(1−β2ᵗ) + ε) + λ·y
        y ← y + c·(z − y) + lr·(β1·(1−c) − 1)·u          z ← z − lr·u

    where c = wₜ/Σw, w = tʳ·lr^q, and y = (1−β1)·z + β1·x are the parameters, at which gradients are
    taken. What is evaluated and deployed is x, the average of z: ``with opt.swap_averages():``.

    Notes
    -----
    State: 8 bytes per float32 parameter (``z``, ``exp_avg_sq``) and two numbers per tensor. A
    constant lr one to ten times that of AdamW, after a warm-up; β1 up to 0.98 for long trainings.
    ``decoupled_weight_decay`` and ``l1`` would change y alone, and ``ema_decay`` would average it:
    all three are refused, as is a β1 of 0, at which x is not known.

    Defazio et al., "The Road Less Scheduled", NeurIPS 2024, arXiv:2405.15682.

    Examples
    --------
    >>> import numpy as np, gradstep as gs
    >>> w = np.zeros(2)
    >>> opt = gs.ScheduleFreeAdamW(w, lr=0.1, warmup_steps=5)
    >>> for _ in range(100):
    ...     info = opt.step(w - np.array([1.0, -1.0]))
    >>> with opt.swap_averages():
    ...     x = w.copy()
    >>> bool(np.all(abs(x - [1.0, -1.0]) < 0.2))
    True
    """

    lr = Number(2.5e-3, "Step size of z.")
    betas = decays((0.9, 0.999), "Where from z to x gradients are taken; decay of the squares.")
    eps = Number(1e-8, "Added to the root, after bias correction.")
    weight_decay = Number(0.0, "λ: added to the step, with y.")
    warmup_steps = WARMUP_STEPS
    r = R
    weight_lr_power = WEIGHT_LR_POWER

    exp_avg_sq = Slot(values="squares")

    def rule(self, h: Mapping[str, Any]) -> str:
        self.check(h)
        return "schedule_free_adam"

    def beta(self, h: Mapping[str, Any]) -> float:
        beta: float = h["betas"][0]
        return beta

    def penalties(self, h: Mapping[str, Any]) -> tuple[float, ...]:
        return 0.0, 1.0, 0.0

    def coefficients(self, rule: str, h: Mapping[str, Any]) -> dict[str, float]:
        beta1, beta2 = h["betas"]
        return {
            "beta": beta1,
            "beta2": beta2,
            "one_minus_beta2": 1.0 - beta2,
            "eps": h["eps"],
            "weight_decay": h["weight_decay"],
        }

    def step_coefficients(self, rule: str, h: Mapping[str, Any], t: int) -> dict[str, float]:
        root_scale = 1.0 / math.sqrt(1.0 - h["betas"][1] ** t)
        return {**super().step_coefficients(rule, h, t), "root_scale": root_scale}
