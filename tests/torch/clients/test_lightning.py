"""Lightning: it steps with a closure, sets the rate, and checkpoints."""

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
    examples,
    network,
    ours,
    torch,
    values,
)

lightning = pytest.importorskip("lightning", reason="not installed: pip install '.[clients]'")
cli = pytest.importorskip("lightning.pytorch.cli")
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning"),  # its use of torch's pytrees
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),  # advice
]


class Classifier(lightning.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.network = network()

    def training_step(self, batch: Any, index: int) -> torch.Tensor:
        x, y = batch
        return torch.nn.functional.cross_entropy(self.network(x), y)


class Scheduled(Classifier):
    def __init__(self, optimizer_class: Class) -> None:
        super().__init__()
        self.optimizer_class = optimizer_class

    def configure_optimizers(self) -> Any:
        optimizer = self.optimizer_class(self.parameters(), lr=0.02)
        scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.03, total_steps=50)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }


def batches() -> torch.utils.data.DataLoader[Any]:
    """Twelve."""
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*examples()), batch_size=8)


QUIET = {
    "accelerator": "cpu",
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
}


def train(
    optimizer_class: Class,
    *,
    epochs: int = 4,
    load: Path | None = None,
    save: Path | None = None,
    **options: Any,
) -> Tensors:
    trainer = lightning.Trainer(max_epochs=epochs, gradient_clip_val=0.5, **QUIET, **options)
    module = Scheduled(optimizer_class)
    trainer.fit(module, batches(), ckpt_path=load)
    assert_stepped(trainer.optimizers[0], optimizer_class, 12 * epochs)
    if save:
        trainer.save_checkpoint(save)
    return values(module)


@pytest.mark.parametrize(
    ("precision", "atol"),
    [
        pytest.param("64-true", 1e-15, id="64"),
        pytest.param("32-true", FLOAT32, id="32"),
        pytest.param("bf16-mixed", AUTOCAST, id="autocast"),
        pytest.param("bf16-true", 2e-2, id="bf16"),
    ],
)
def test_trains_as_with_torch(precision: str, atol: float) -> None:
    assert_trains_alike(lambda cls: train(cls, precision=precision), "AdamW", atol=atol)


def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    file = tmp_path / "last.ckpt"
    train(ours.AdamW, epochs=2, save=file)
    assert_equal(train(ours.AdamW, load=file), train(ours.AdamW))


def test_its_command_line_makes_the_optimizer(monkeypatch: pytest.MonkeyPatch) -> None:
    def told(optimizer_class: Class) -> Tensors:
        home = "gradstep.torch" if optimizer_class is ours.AdamW else "torch.optim"
        options = [f"--optimizer={home}.AdamW", "--optimizer.lr=0.02", "--optimizer.eps=1e-6"]
        monkeypatch.setattr("sys.argv", ["train", *options])
        command = cli.LightningCLI(
            Classifier,
            trainer_defaults={"max_epochs": 2, **QUIET},
            save_config_callback=None,
            seed_everything_default=False,
            run=False,
        )
        command.trainer.fit(command.model, batches())
        assert_stepped(command.trainer.optimizers[0], optimizer_class, 24)
        assert command.trainer.optimizers[0].param_groups[0]["eps"] == 1e-6
        return values(command.model)

    assert_trains_alike(told, "AdamW")
