"""scikit-learn's MLPClassifier: with its own Adam, and with gradstep's in its place."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from benchmarks.loops.loop import (
    LABELINGS,
    LR,
    MEASURED,
    NO_OPTIMIZER,
    ONE_THREAD,
    Array,
    Kind,
    Loop,
    Running,
)
from benchmarks.loops.ours import apply_setting, installed

SAMPLES = 2_000


def replacement(contestant: str, wheel: Path | None) -> type:
    """What takes the place of scikit-learn's ``AdamOptimizer``."""
    from sklearn.neural_network._stochastic_optimizers import BaseOptimizer

    if contestant == NO_OPTIMIZER:

        class Nothing(BaseOptimizer):  # type: ignore[misc]
            def __init__(self, params: list[Array], learning_rate_init: float, *_: Any) -> None:
                super().__init__(learning_rate_init)

            def update_params(self, params: list[Array], grads: list[Array]) -> None:
                pass

        return Nothing

    gradstep = installed(contestant, wheel)

    class Ours(BaseOptimizer):  # type: ignore[misc]
        setting = apply_setting(gradstep, contestant)

        def __init__(
            self,
            params: list[Array],
            learning_rate_init: float,
            beta_1: float,
            beta_2: float,
            epsilon: float,
        ) -> None:
            super().__init__(learning_rate_init)
            betas = (beta_1, beta_2)
            self.opt = gradstep.Adam(params, lr=learning_rate_init, betas=betas, eps=epsilon)

        def update_params(self, params: list[Array], grads: list[Array]) -> None:
            self.opt.step(grads)

    return Ours


class SklearnMLP(Kind):
    name = "scikit-learn"
    peer = pinned = "scikit-learn"
    others = (NO_OPTIMIZER, "scikit-learn")
    ours = (MEASURED, ONE_THREAD)
    unit = "epoch"
    checked = 2
    # Its epsilon counts for more in the first steps than Adam's in the paper.
    tolerance: ClassVar[dict[str, float]] = {"float32": 1e-3, "float64": 1e-3}

    def start(self, loop: Loop, contestant: str, wheel: Path | None = None) -> Running:
        from sklearn.neural_network import MLPClassifier, _multilayer_perceptron

        rng = np.random.default_rng(0)
        inputs = rng.standard_normal((SAMPLES, loop.widths[0])).astype(loop.dtype)
        classes = np.arange(loop.widths[-1])
        labels = [rng.choice(classes, SAMPLES) for _ in range(LABELINGS)]
        if contestant != self.peer:
            _multilayer_perceptron.AdamOptimizer = replacement(contestant, wheel)
        model = MLPClassifier(
            loop.widths[1:-1], batch_size=loop.batch, learning_rate_init=LR, random_state=0
        )
        epochs = count()

        def step() -> None:
            model.partial_fit(inputs, labels[next(epochs) % LABELINGS], classes=classes)

        return Running(step, lambda: float(model.loss_))
