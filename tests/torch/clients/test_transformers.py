"""Hugging Face's Trainer: it groups, clips, sets the rate and resumes from its checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.torch.clients.training import (
    AUTOCAST,
    FLOAT32,
    Class,
    Tensors,
    assert_equal,
    assert_stepped,
    assert_trains_alike,
    ours,
    torch,
    values,
)

transformers = pytest.importorskip("transformers", reason="not installed: pip install '.[clients]'")


def model() -> Any:
    """A small Llama with dropout; it has no bias whose gradient is nothing but rounding."""
    config = transformers.LlamaConfig(
        vocab_size=32,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        attention_dropout=0.1,
        use_cache=False,
    )
    return transformers.LlamaForCausalLM(config)


def sentences() -> list[dict[str, torch.Tensor]]:
    tokens = torch.randint(32, (80, 12), generator=torch.Generator().manual_seed(1))
    return [{"input_ids": row, "labels": row} for row in tokens]


def train(
    optimizer_class: Class,
    folder: Path,
    resume: Path | None = None,
    *,
    clip: float = 0.5,
    given: dict[str, Any] | None = None,
    **options: Any,
) -> Tensors:
    """Two epochs of twenty batches."""
    arguments = transformers.TrainingArguments(
        folder,
        num_train_epochs=2,
        per_device_train_batch_size=4,
        learning_rate=0.01,
        weight_decay=0.1,
        max_grad_norm=clip,
        lr_scheduler_type="cosine",
        warmup_steps=4,
        save_steps=13,  # the last is in the midst of an epoch
        use_cpu=True,
        disable_tqdm=True,
        report_to="none",
        **options,
    )
    transformers.set_seed(3)
    trainer = transformers.Trainer(
        model(),
        arguments,
        train_dataset=sentences(),
        optimizer_cls_and_kwargs=(
            optimizer_class,
            {"lr": 0.01, "betas": (0.9, 0.95), **(given or {})},
        ),
    )
    trainer.train(resume_from_checkpoint=resume)
    assert_stepped(trainer.optimizer.optimizer, optimizer_class, trainer.state.max_steps)
    return values(trainer.model)


@pytest.mark.parametrize(
    ("options", "atol"),
    [
        ({}, FLOAT32),
        ({"gradient_accumulation_steps": 2}, FLOAT32),
        ({"bf16": True}, AUTOCAST),
    ],
    ids=["float32", "accumulated", "autocast"],
)
def test_trains_as_with_torch(options: dict[str, Any], atol: float, tmp_path: Path) -> None:
    assert_trains_alike(
        lambda cls: train(cls, tmp_path, save_strategy="no", **options), "AdamW", atol=atol
    )


def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    whole = train(ours.AdamW, tmp_path)
    assert_equal(train(ours.AdamW, tmp_path, tmp_path / "checkpoint-26"), whole)


@pytest.mark.parametrize("way", [(torch.optim, ours), (ours, torch.optim)], ids=["in", "out"])
def test_a_run_goes_on_with_the_other_optimizer(way: tuple[Any, Any], tmp_path: Path) -> None:
    first, then = (module.AdamW for module in way)
    whole = train(first, tmp_path)
    resumed = train(then, tmp_path, tmp_path / "checkpoint-26")
    torch.testing.assert_close(resumed, whole, rtol=0, atol=FLOAT32)


def test_the_optimizer_clips_in_the_trainer_s_place(tmp_path: Path) -> None:
    mine = train(ours.AdamW, tmp_path, clip=0, given={"clip_norm": 0.5}, save_strategy="no")
    theirs = train(torch.optim.AdamW, tmp_path, save_strategy="no")
    torch.testing.assert_close(mine, theirs, rtol=0, atol=FLOAT32)
