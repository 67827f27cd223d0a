"""Lightning: it steps with a closure, sets the rate, and checkpoints."""

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
    examples,
    network,
    ours,
    torch,
    values,
)

lightning = pytest.importorskip("lightning", reason="not installed: pip install '.[clients]'")
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning"),  # its use of torch's pytrees
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),  # advice
]


class Module(lightning.LightningModule):
    def __init__(self, optimizer_class: Class) -> None:
        super().__init__()
        self.optimizer_class = optimizer_class
        self.network = network()

    def training_step(self, batch: Any, index: int) -> torch.Tensor:
        x, y = batch
        return torch.nn.functional.cross_entropy(self.network(x), y)

    def configure_optimizers(self) -> Any:
        optimizer = self.optimizer_class(self.parameters(), lr=0.02)
        scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.03, total_steps=50)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }


def train(
    optimizer_class: Class,
    *,
    epochs: int = 4,
    load: Path | None = None,
    save: Path | None = None,
    **options: Any,
) -> Tensors:
    """Twelve steps an epoch."""
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )
    module = Module(optimizer_class)
    data = torch.utils.data.TensorDataset(*examples())
    trainer.fit(module, torch.utils.data.DataLoader(data, batch_size=8), ckpt_path=load)
    assert_stepped(trainer.optimizers[0], optimizer_class, 12 * epochs)
    if save:
        trainer.save_checkpoint(save)
    return values(module)


@pytest.mark.parametrize(
    ("precision", "atol"),
    [
        ("64-true", 1e-14),
        ("32-true", 1e-6),
        # A weight that rounds to another bfloat16 changes a step by this much.
        ("bf16-mixed", 1e-3),
        ("bf16-true", 1e-2),
    ],
)
@pytest.mark.parametrize("clip", [None, 0.5])
def test_trains_as_with_torch(clip: float | None, precision: str, atol: float) -> None:
    assert_trains_alike(
        lambda cls: train(cls, gradient_clip_val=clip, precision=precision), "AdamW", atol=atol
    )


def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    file = tmp_path / "last.ckpt"
    train(ours.AdamW, epochs=2, save=file)
    assert_equal(train(ours.AdamW, load=file), train(ours.AdamW))
