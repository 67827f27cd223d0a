"""A training run with everything that a checkpoint can hold."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import gradstep as gs
from tests.helpers import assert_same_bits, everything


class Run:
    """Something to save, and to find unchanged."""

    def __init__(self, value: float = 1.0, **options: Any) -> None:
        self.params = {"w": np.full((2, 3), value), "b": np.full(3, value, np.float32)}
        self.lr = gs.schedules.ReduceLROnPlateau(0.1)
        self.opt = gs.AdamW(self.params, lr=self.lr, ema_decay=0.9, **options)
        self.others: dict[str, Any] = {
            "scaler": gs.LossScaler(),
            "lr": self.lr,
            "stopping": gs.EarlyStopping(),
        }
        for _ in range(3):
            self.others["scaler"].step(self.opt, {name: p + 1 for name, p in self.params.items()})
            self.lr.update(value)
            self.others["stopping"].update(value, self.params)

    def save(self, path: Path) -> None:
        gs.save(path, self.opt, **self.others)

    def load(self, path: Path) -> None:
        gs.load(path, self.opt, **self.others)

    def state(self) -> tuple[Any, ...]:
        counts = {name: of["step"] for name, of in self.opt.state_dict()["state"].items()}
        states = {name: other.state_dict() for name, other in self.others.items()}
        return states, counts, self.opt.steps, repr(self.opt)

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """An error within the block has changed nothing, and training can go on."""
        arrays, state = everything(self.opt), self.state()
        try:
            yield
        finally:
            assert_same_bits(everything(self.opt), arrays)
            np.testing.assert_equal(self.state(), state)
        self.opt.step({name: p.copy() for name, p in self.params.items()})
