"""Why Adam corrects its bias: trained on digits, with and without.

pip install ".[examples]" && python examples/bias_correction.py --plot bias_correction.svg

Both means of Adam begin at 0 and are too small at first, that of the squares for longer: without
correction a step is (1−β1ᵗ)/√(1−β2ᵗ) times as long, 3.2 times at the first, 6.6 times at the 12th,
and still 1.26 times at the 1,000th. What one sees on the digits, over five seeds:

- At lr = 0.03, near Adam's best here, the loss leaps to more than twice of where it began, and
  after 150 steps is still higher than with correction.
- At lr = 0.003 it falls faster without correction: too small an lr was made larger. The correction
  makes lr mean the same from the first step on; it does not make steps better by itself.

Adam without correction is Adam with a schedule that takes it back: gradstep needs no option for it.
"""

from __future__ import annotations

import numpy as np
import pictures
from digits import BATCH, init_params, load_data, loss_and_grads

import gradstep as gs

LRS, STEPS, SEEDS = (0.003, 0.03), 150, 5
BETA1, BETA2 = 0.9, 0.999
NAMES = ("corrected", "uncorrected")


def too_long(step):
    """How many times as long a step is without correction, by the number of those before it."""
    t = np.asarray(step) + 1.0
    return (1 - BETA1**t) / np.sqrt(1 - BETA2**t)


def adam(params, lr, name):
    uncorrected = name == "uncorrected"
    lr_or_schedule = (lambda step: lr * too_long(step)) if uncorrected else lr
    return gs.Adam(params, lr=lr_or_schedule, betas=(BETA1, BETA2))


def train(lr, name, seed, data):
    """The loss of each batch."""
    params, rng, losses = init_params(seed), np.random.default_rng(seed), []
    opt = adam(params, lr, name)
    while opt.steps < STEPS:
        for x, y in gs.minibatches(data, BATCH, rng, drop_last=True):
            loss, grads = loss_and_grads(params, x, y)
            opt.step(grads)
            losses.append(loss)
    return losses[:STEPS]


def find(seeds=SEEDS):
    """Losses of all seeds at each step, (seeds, steps), by lr and name."""
    data, _, _ = load_data()
    return {
        (lr, name): np.array([train(lr, name, seed, data) for seed in range(seeds)])
        for lr in LRS
        for name in NAMES
    }


def milestones(losses):
    """Of each seed: the first loss, the highest, and the mean of the last 20."""
    return losses[:, 0], losses.max(axis=1), losses[:, -20:].mean(axis=1)


def draw(figure, losses):
    """How much too long steps are, and what becomes of the losses."""
    top, *below = figure.subplots(1 + len(LRS), 1)
    steps = np.arange(2000)
    top.semilogx(steps + 1, too_long(steps), color=pictures.ORANGE)
    top.axhline(1, color=pictures.BLUE)
    top.set(ylim=(0, 7.5), xlabel="step", yticks=(0, 1, 3, 5, 7), ylabel="times lr")
    top.set_xticks((1, 10, 100, 1000), ("1", "10", "100", "1,000"))
    top.set_title("Length of a step")
    for axes, lr in zip(below, LRS, strict=True):
        for name, color in zip(NAMES, pictures.COLORS, strict=False):
            found = losses[lr, name]
            axes.semilogy(np.median(found, axis=0), color=color, label=name)
            band = found.min(axis=0), found.max(axis=0)
            axes.fill_between(range(STEPS), *band, color=color, alpha=0.2, linewidth=0)
        axes.set_title(f"Digits, lr = {lr}")
        axes.set(xlabel="steps", ylabel="loss", ylim=(0.008, 12))
        axes.set_yticks((0.01, 0.1, 1, 10), ("0.01", "0.1", "1", "10"))
    figure.legend(*below[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)


def main():
    args = pictures.options(__doc__)
    losses = find()
    for (lr, name), found in losses.items():
        first, most, last = (np.median(each) for each in milestones(found))
        print(
            f"lr = {lr}, {name:>11}: loss {first:.2f} at first, at most {most:.2f}, "
            f"{last:.3f} at last"
        )
    if args.plot:
        pictures.save(draw, args.plot, losses, height=8)


if __name__ == "__main__":
    main()
