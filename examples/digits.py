"""Train a classifier of handwritten digits in plain NumPy, with gradstep's AdamW.

pip install ".[examples]" && python examples/digits.py
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from tqdm import tqdm

import gradstep as gs

HIDDEN = 128
BATCH = 64


def init_params(rng):
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


def train(backend, data, epochs):
    """Returns the test accuracy and the share of the time that went into optimizer steps."""
    x_train, x_test, y_train, y_test = data
    rng = np.random.default_rng(0)
    params = init_params(rng)
    steps = epochs * (len(x_train) // BATCH)
    in_optimizer = 0.0

    with gs.runtime.set_backend(backend):
        opt = gs.AdamW(params, lr=gs.schedules.linear_warmup(50) * 3e-3, clip_norm=1.0)
        started = time.perf_counter()
        with tqdm(total=steps, desc=f"{backend:>6}", unit="step") as progress:
            for _ in range(epochs):
                order = rng.permutation(len(x_train))
                for start in range(0, len(order) - BATCH + 1, BATCH):
                    batch = order[start : start + BATCH]
                    loss, grads = loss_and_grads(params, x_train[batch], y_train[batch])
                    before = time.perf_counter()
                    opt.step(grads)
                    in_optimizer += time.perf_counter() - before
                    progress.update()
                progress.set_postfix(loss=f"{loss:.4f}")
        total = time.perf_counter() - started
    return accuracy(params, x_test, y_test), in_optimizer / total


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=40)
    epochs = parser.parse_args().epochs

    images, labels = load_digits(return_X_y=True)
    images = (images / 16.0).astype(np.float32)
    data = train_test_split(images, labels, test_size=0.25, random_state=0, stratify=labels)

    for backend in gs.runtime.available_backends():
        correct, share = train(backend, data, epochs)
        print(
            f"{backend:>6}: test accuracy {correct:.2%}, optimizer's share of the time {share:.1%}"
        )


if __name__ == "__main__":
    main()
