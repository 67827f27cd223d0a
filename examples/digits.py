"""Train a classifier of handwritten digits in plain NumPy, with gradstep's AdamW.

pip install ".[examples]" && python examples/digits.py --plot digits.png

With --checkpoint digits.safetensors an interrupted run, started again, goes on where it was and
ends with the very weights that it would have had.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from tqdm import tqdm

import gradstep as gs

SEED = 0
HIDDEN = 128
BATCH = 64
CLIP_NORM = 1.0


def load_data():
    """(images, labels) to train on, to validate on after each epoch, and to test on in the end."""
    images, labels = load_digits(return_X_y=True)
    images = (images / 16.0).astype(np.float32)
    x, x_test, y, y_test = split(images, labels, test_size=0.25)
    x, x_validation, y, y_validation = split(x, y, test_size=0.15)
    return (x, y), (x_validation, y_validation), (x_test, y_test)


def split(x, y, test_size):
    return train_test_split(x, y, test_size=test_size, random_state=SEED, stratify=y)


def init_params(seed=SEED):
    rng = np.random.default_rng(seed)

    def layer(fan_in, fan_out):
        return rng.normal(0.0, np.sqrt(2.0 / fan_in), (fan_in, fan_out)).astype(np.float32)

    return {
        "W1": layer(64, HIDDEN),
        "b1": np.zeros(HIDDEN, np.float32),
        "W2": layer(HIDDEN, 10),
        "b2": np.zeros(10, np.float32),
    }


def forward(params, x):
    hidden = np.maximum(x @ params["W1"] + params["b1"], 0.0)
    return hidden, hidden @ params["W2"] + params["b2"]


def loss_and_grads(params, x, y):
    """Mean softmax cross-entropy, and its gradient in the structure of params."""
    hidden, logits = forward(params, x)
    logits = logits - logits.max(axis=1, keepdims=True)
    log_probs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    rows = np.arange(len(y))
    loss = -log_probs[rows, y].mean()

    d_logits = np.exp(log_probs)
    d_logits[rows, y] -= 1.0
    d_logits /= len(y)
    d_hidden = (d_logits @ params["W2"].T) * (hidden > 0.0)
    return loss, {
        "W1": x.T @ d_hidden,
        "b1": d_hidden.sum(axis=0),
        "W2": hidden.T @ d_logits,
        "b2": d_logits.sum(axis=0),
    }


def accuracy(params, x, y):
    return (forward(params, x)[1].argmax(axis=1) == y).mean()


@dataclass
class Record:
    """What happened since this run was started."""

    steps: list[tuple[int, float, float, float]] = field(default_factory=list)
    validations: list[tuple[int, float]] = field(default_factory=list)
    in_optimizer: float = 0.0  # seconds
    in_all: float = 0.0

    @property
    def optimizers_share(self):
        return self.in_optimizer / self.in_all


def train(training, validation, epochs, checkpoint=None):
    """The parameters with the least validation loss, and the record of how they came about."""
    params, record = init_params(), Record()
    steps_per_epoch = len(training[0]) // BATCH
    steps = epochs * steps_per_epoch

    lr = gs.schedules.linear_warmup(50) * gs.schedules.cosine_annealing(steps) * 5e-3
    average = gs.schedules.debiased_ema(0.95)
    opt = gs.AdamW(params, lr=lr, clip_norm=CLIP_NORM, ema_decay=average)
    stopping = gs.EarlyStopping(patience=10)
    if checkpoint and checkpoint.exists():
        gs.load(checkpoint, opt, stopping=stopping)

    started = time.perf_counter()
    with tqdm(desc=gs.runtime.backend(), total=steps, initial=opt.steps, unit="step") as progress:
        while opt.steps < steps and stopping.bad <= stopping.patience:
            # A generator for each epoch: to go on, the number of completed steps is enough.
            rng = np.random.default_rng((SEED, opt.steps // steps_per_epoch))
            for x, y in gs.minibatches(training, BATCH, rng, drop_last=True):
                loss, grads = loss_and_grads(params, x, y)
                done, before = opt.steps, time.perf_counter()
                info = opt.step(grads)
                record.in_optimizer += time.perf_counter() - before
                record.steps.append((done, loss, lr(done), info.grad_norm))
                progress.update()
            with opt.swap_averages():
                validation_loss, _ = loss_and_grads(params, *validation)
                stopping.update(validation_loss, params)
            record.validations.append((opt.steps, validation_loss))
            progress.set_postfix(loss=f"{loss:.4f}", validation=f"{validation_loss:.4f}")
            if checkpoint:
                gs.save(checkpoint, opt, stopping=stopping)
    record.in_all = time.perf_counter() - started
    stopping.restore(params)
    return params, record


def plot(record, path):
    """Loss, learning rate and gradient norm over the steps."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    steps, losses, lrs, norms = zip(*record.steps, strict=True)
    figure, (top, middle, bottom) = plt.subplots(
        3, figsize=(8, 7), sharex=True, layout="constrained", height_ratios=(2, 1, 1)
    )
    top.semilogy(steps, losses, color="#93c5fd", linewidth=1, label="training, each batch")
    top.semilogy(
        *zip(*record.validations, strict=True),
        color="#1e3a8a",
        label="validation, averaged weights",
    )
    top.set_ylabel("loss")
    top.legend(frameon=False)
    middle.plot(steps, lrs, color="#d97706")
    middle.set_ylabel("learning rate")
    bottom.semilogy(steps, norms, color="#059669", linewidth=1)
    bottom.axhline(CLIP_NORM, color="#475569", linewidth=1, linestyle="--")
    bottom.annotate("clip_norm", (steps[-1], CLIP_NORM), ha="right", va="bottom", color="#475569")
    bottom.set_ylabel("gradient norm")
    bottom.set_xlabel("completed steps")
    for axes in (top, middle, bottom):
        axes.spines[["right", "top"]].set_visible(False)
        axes.grid(alpha=0.25)
    figure.savefig(path, dpi=130)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument(
        "--checkpoint",
        type=Path,
        help="saved to after each epoch, and resumed from: FILE-native and FILE-numpy",
    )
    parser.add_argument("--plot", help="a picture of the steps of this run")
    args = parser.parse_args()

    training, validation, test = load_data()
    for backend in gs.runtime.available_backends():
        checkpoint = args.checkpoint
        if checkpoint:
            checkpoint = checkpoint.with_stem(f"{checkpoint.stem}-{backend}")
        with gs.runtime.set_backend(backend):
            params, record = train(training, validation, args.epochs, checkpoint)
        print(
            f"{backend:>6}: test accuracy {accuracy(params, *test):.2%}, "
            f"optimizer's share of the time {record.optimizers_share:.1%}"
        )
    if args.plot and record.steps:
        plot(record, args.plot)


if __name__ == "__main__":
    main()
