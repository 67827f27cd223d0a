"""Hugging Face Accelerate: gradients are accumulated and clipped by it, checkpoints are its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.torch.clients.training import (
    AUTOCAST,
    Class,
    Tensors,
    assert_equal,
    assert_stepped,
    assert_trains_alike,
    examples,
    network,
    ours,
    torch,
    values,
)

accelerate = pytest.importorskip("accelerate", reason="not installed: pip install '.[clients]'")


def train(
    optimizer_class: Class,
    *,
    epochs: range = range(4),
    load: Path | None = None,
    save: Path | None = None,
    mixed: str = "no",
) -> Tensors:
    """Twelve batches an epoch, two of which make a step."""
    accelerate.state.AcceleratorState._reset_state(reset_partial_state=True)
    accelerate.utils.set_seed(0)
    accelerator = accelerate.Accelerator(
        cpu=True, gradient_accumulation_steps=2, mixed_precision=mixed
    )
    model = network()
    optimizer = optimizer_class(model.parameters(), lr=0.02, weight_decay=0.1)
    data = torch.utils.data.TensorDataset(*examples())
    loader = torch.utils.data.DataLoader(data, batch_size=8, shuffle=True)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 24)
    model, optimizer, loader, scheduler = accelerator.prepare(model, optimizer, loader, scheduler)
    if load:
        accelerator.load_state(load)
    for _ in epochs:
        for x, y in loader:
            with accelerator.accumulate(model):
                accelerator.backward(torch.nn.functional.cross_entropy(model(x), y))
                if accelerator.sync_gradients:
                    accelerator.clip_grad_norm_(model.parameters(), 0.5)
                optimizer.step()
                scheduler.step()
                optimizer.zero_grad()
    if save:
        accelerator.save_state(save)
    assert_stepped(optimizer.optimizer, optimizer_class, 6 * epochs.stop)
    return values(model)


def test_trains_as_with_torch() -> None:
    assert_trains_alike(train, "AdamW")


def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    train(ours.AdamW, epochs=range(2), save=tmp_path)
    resumed = train(ours.AdamW, epochs=range(2, 4), load=tmp_path)
    assert_equal(resumed, train(ours.AdamW))


def test_trains_as_with_torch_under_autocast() -> None:
    assert_trains_alike(lambda cls: train(cls, mixed="bf16"), "AdamW", atol=AUTOCAST)
