"""Stable-Baselines3: it makes the optimizer with its policy, sets the rate and saves both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.torch.clients.training import (
    Class,
    Tensors,
    assert_equal,
    assert_stepped,
    assert_trains_alike,
    ours,
    torch,
    values,
)

sb3 = pytest.importorskip("stable_baselines3", reason="not installed: pip install '.[clients]'")


def learner(optimizer_class: Class) -> Any:
    """PPO that plays with poles, two times 32 moves and eight steps on those."""
    model = sb3.PPO(
        "MlpPolicy",
        "CartPole-v1",
        learning_rate=lambda left: 0.003 * left,
        n_steps=32,
        batch_size=16,
        n_epochs=4,
        seed=0,
        device="cpu",
        policy_kwargs={
            "net_arch": [16],
            "optimizer_class": optimizer_class,
            "optimizer_kwargs": {"eps": 1e-5, "weight_decay": 0.01},
        },
    )
    model.learn(3 * 32)
    assert_stepped(model.policy.optimizer, optimizer_class, 3 * 8)
    return model


def train(optimizer_class: Class) -> Tensors:
    return values(learner(optimizer_class).policy)


@pytest.mark.parametrize("name", ["Adam", "AdamW"])
def test_trains_as_with_torch(name: str) -> None:
    assert_trains_alike(train, name)


def test_a_loaded_policy_has_its_optimizer(tmp_path: Path) -> None:
    saved = learner(ours.AdamW)
    saved.save(tmp_path / "ppo.zip")
    loaded = sb3.PPO.load(tmp_path / "ppo.zip", device="cpu")
    assert_stepped(loaded.policy.optimizer, ours.AdamW, 24)
    for model in (saved, loaded):  # one more step, with the same gradients
        for p in model.policy.parameters():
            p.grad = torch.ones_like(p)
        model.policy.optimizer.step()
    assert_equal(values(saved.policy), values(loaded.policy))
