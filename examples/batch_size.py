"""Small batches end in flatter places: batch size and sharpness, on the digits.

pip install ".[examples]" && python examples/batch_size.py --plot batch_size.svg

SGD, lr = 0.5, trains the same network from the same weights in batches of 4, 16, 64 and 256 until
the loss of all training examples is below 0.02. Sharpness is the largest eigenvalue of the Hessian
of that loss. What one sees, over five seeds:

- At the same loss the sharpness grows with the batch, with every seed: with small batches the noise
  of the gradients keeps SGD out of places that are too steep for it.
- The accuracy on unseen digits does not visibly differ: its means are two images in 450 apart, and
  the seeds of one batch size as much. That flat places generalise better is not seen here.
- The number of steps is about the same from 16 on: larger batches do not make up for fewer steps.
"""

from __future__ import annotations

import numpy as np
import pictures
from digits import accuracy, forward, init_params, load_data, loss_and_grads
from scipy.sparse.linalg import LinearOperator, eigsh

import gradstep as gs

BATCHES, SEEDS, LR, LOSS = (4, 16, 64, 256), 5, 0.5, 0.02
LOOK_EVERY, MOST_STEPS = 20, 10_000


def train(batch, seed, data):
    """The parameters where the loss of all examples is first seen below LOSS, and the steps."""
    params, rng = init_params(seed), np.random.default_rng(seed)
    opt = gs.SGD(params, lr=LR)
    while opt.steps < MOST_STEPS:
        for x, y in gs.minibatches(data, batch, rng, drop_last=True):
            opt.step(loss_and_grads(params, x, y)[1])
            if opt.steps % LOOK_EVERY == 0 and loss_and_grads(params, *data)[0] < LOSS:
                return params, opt.steps
    raise RuntimeError(f"the loss is not below {LOSS} after {MOST_STEPS:,} steps")


def hessian_times(params, direction, x, y):
    """The Hessian of the mean loss times a direction, both in the structure of params.

    Exact (Pearlmutter 1994): what each quantity of the backward pass changes along the direction.
    """
    hidden, logits = forward(params, x)
    active = hidden > 0.0
    chances = np.exp(logits - logits.max(axis=1, keepdims=True))
    chances /= chances.sum(axis=1, keepdims=True)
    d_logits = chances.copy()
    d_logits[np.arange(len(y)), y] -= 1.0
    d_logits /= len(y)

    r_hidden = active * (x @ direction["W1"] + direction["b1"])
    r_logits = r_hidden @ params["W2"] + hidden @ direction["W2"] + direction["b2"]
    r_d_logits = chances * (r_logits - (chances * r_logits).sum(axis=1, keepdims=True)) / len(y)
    r_d_hidden = active * (r_d_logits @ params["W2"].T + d_logits @ direction["W2"].T)
    return {
        "W1": x.T @ r_d_hidden,
        "b1": r_d_hidden.sum(axis=0),
        "W2": r_hidden.T @ d_logits + hidden.T @ r_d_logits,
        "b2": r_d_logits.sum(axis=0),
    }


def sharpness(params, data):
    """The largest eigenvalue of the Hessian of the loss of all examples."""
    ends = np.cumsum([param.size for param in params.values()])

    def product(vector):
        parts = np.split(vector.ravel().astype(np.float32), ends[:-1])
        direction = {
            name: part.reshape(param.shape)
            for (name, param), part in zip(params.items(), parts, strict=True)
        }
        changes = hessian_times(params, direction, *data)
        return np.concatenate([changes[name].ravel() for name in params])

    hessian = LinearOperator((ends[-1], ends[-1]), matvec=product, dtype=np.float32)
    start = np.random.default_rng(0).normal(size=ends[-1]).astype(np.float32)
    return eigsh(hessian, k=1, which="LA", tol=1e-3, v0=start, return_eigenvectors=False)[0]


def find(seeds=SEEDS):
    """By batch size, of each seed: sharpness, accuracy on unseen digits, and steps."""
    data, _, unseen = load_data()
    found = {}
    for batch in BATCHES:
        runs = [train(batch, seed, data) for seed in range(seeds)]
        found[batch] = [
            (sharpness(params, data), accuracy(params, *unseen), steps) for params, steps in runs
        ]
    return {batch: np.array(rows).T for batch, rows in found.items()}


def draw(figure, found):
    top, bottom = figure.subplots(2, 1, sharex=True)
    for axes, row, color in ((top, 0, pictures.ORANGE), (bottom, 1, pictures.BLUE)):
        values = np.array([found[batch][row] for batch in BATCHES]) * (100 if row else 1)
        axes.plot(BATCHES, values.mean(axis=1), "-", color=color)
        axes.plot(BATCHES, values, ".", color=color, markersize=8, alpha=0.5)
        axes.set_xscale("log")
        axes.set_xticks(BATCHES, BATCHES)
        axes.minorticks_off()
    top.set(ylim=(0, None), ylabel="sharpness")
    top.set_title("Largest eigenvalue of the Hessian")
    bottom.set(ylim=(94, 100), ylabel="% correct", xlabel="batch")
    bottom.set_title("Unseen digits; dots: seeds")


def main():
    args = pictures.options(__doc__)
    found = find()
    print(f"at a loss of {LOSS}, the mean of {SEEDS} seeds ± their standard deviation")
    for batch, rows in found.items():
        (sharp, correct, steps), spread = rows.mean(axis=1), rows.std(axis=1)
        print(
            f"batch {batch:>3}: sharpness {sharp:.2f} ± {spread[0]:.2f}, "
            f"accuracy {correct:.1%} ± {spread[1]:.1%}, {steps:,.0f} steps"
        )
    if args.plot:
        pictures.save(draw, args.plot, found, height=5.5)


if __name__ == "__main__":
    main()
