"""stable-baselines3's PPO with its default network and settings: ``train()`` with the Adam of
torch.optim, and with gradstep's in its place."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, ClassVar

from benchmarks.loops.loop import MEASURED, NO_OPTIMIZER, Kind, Loop, Running
from benchmarks.loops.ours import apply_setting, installed

HOW: dict[str, dict[str, bool]] = {"torch default": {}, "torch fused": {"fused": True}}
EPS = 1e-5  # what stable-baselines3 gives to its own


def optimizer_class(contestant: str, wheel: Path | None) -> type:
    import torch

    if contestant in HOW:
        return torch.optim.Adam
    if contestant == NO_OPTIMIZER:

        class Nothing(torch.optim.Adam):
            def step(self, closure: Any = None) -> None:
                pass

        return Nothing
    gradstep = installed(contestant, wheel)

    class Ours(importlib.import_module("gradstep.torch").Adam):  # type: ignore[misc]
        setting = apply_setting(gradstep, contestant)

    return Ours


class PPO(Kind):
    """A policy and a value function for CartPole, each in the middle as wide as the loop's widths
    say, which are stable-baselines3's own. The rollout that they learn from stays the same."""

    name = "stable-baselines3 PPO"
    peer, pinned = "torch default", "torch fused"
    others = (NO_OPTIMIZER, "torch default", "torch fused")
    ours = (MEASURED,)
    unit = "train()"
    checked = 1
    tolerance: ClassVar[dict[str, float]] = {"float32": 1e-5}

    def start(self, loop: Loop, contestant: str, wheel: Path | None = None) -> Running:
        import stable_baselines3

        optimizer = optimizer_class(contestant, wheel)
        model = stable_baselines3.PPO(
            "MlpPolicy",
            "CartPole-v1",
            policy_kwargs={
                "optimizer_class": optimizer,
                "optimizer_kwargs": {"eps": EPS, **HOW.get(contestant, {})},
            },
            seed=0,
            device="cpu",
        )
        assert model.batch_size == loop.batch
        model.learn(model.n_steps)  # one rollout, and a first train()
        return Running(model.train, lambda: float(model.logger.name_to_value["train/loss"]))
