"""A table of optimizers on the digits, each at its own best lr, over eight seeds.

pip install ".[examples]" && python examples/optimizer_table.py --plot optimizer_table.svg

Each trains the network of digits.py for 20 epochs at a constant lr, one of twelve from 1e-4 to 30;
its best is that of the lowest mean loss on the validation images. Then stand in the table how many
steps it takes until 95 % of these are right, the loss of the training images in the end, and the
accuracy on the test images, which nothing was chosen by.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import pictures
from digits import BATCH, accuracy, init_params, load_data, loss_and_grads
from tqdm import tqdm

import gradstep as gs

EPOCHS, SEEDS, LOOK_EVERY, RIGHT = 20, 8, 5, 0.95
LRS = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
momentum = partial(gs.SGD, momentum=0.9)
OPTIMIZERS = {
    "SGD": gs.SGD,
    "momentum 0.9": momentum,
    "Nesterov 0.9": partial(momentum, nesterov=True),
    "AdaGrad": gs.Adagrad,
    "RMSprop": gs.RMSprop,
    "Adadelta": gs.Adadelta,
    "Adam": gs.Adam,
    "AdamW": gs.AdamW,
    "Adamax": gs.Adamax,
    "NAdam": gs.NAdam,
    "RAdam": gs.RAdam,
    "Lion": gs.Lion,
}


def train(name, lr, seed, data):
    """Steps until 95 % are right, losses of validation and training in the end, test accuracy.

    Of an lr that is too large, infinities.
    """
    training, validation, test = data
    params, rng = init_params(seed), np.random.default_rng(seed)
    opt = OPTIMIZERS[name](params, lr=lr)
    needed = np.inf
    for _ in range(EPOCHS):
        for x, y in gs.minibatches(training, BATCH, rng, drop_last=True):
            opt.step(loss_and_grads(params, x, y)[1])
            look = np.isinf(needed) and opt.steps % LOOK_EVERY == 0
            if look and accuracy(params, *validation[:2]) >= RIGHT:
                needed = opt.steps
    losses = [loss_and_grads(params, *part)[0] for part in (validation, training)]
    return needed, *np.nan_to_num(losses, nan=np.inf), accuracy(params, *test)


def results(name, lr, data, seeds=SEEDS):
    """What each seed comes to, (4, seeds)."""
    with np.errstate(all="ignore"):
        return np.array([train(name, lr, seed, data) for seed in range(seeds)]).T


def find():
    """Each optimizer's best lr and what came out at it."""
    data, found = load_data(), {}
    for name in tqdm(OPTIMIZERS, unit="optimizer"):
        by_lr = {lr: results(name, lr, data) for lr in LRS}
        best = min(LRS, key=lambda lr: by_lr[lr][1].mean())
        found[name] = best, by_lr[best]
    return found


def row(name, lr, result):
    needed, _, loss, correct = result
    return (
        f"| {name} | {lr:g} | {np.median(needed):.0f} | {loss.mean():.2g} "
        f"| {correct.mean():.1%} ± {correct.std():.1%} |"
    )


def draw(figure, found):
    left, right = figure.subplots(1, 2, sharey=True)
    for y, (_, (needed, _, _, correct)) in enumerate(found.values()):
        for axes, values, color in (
            (left, needed, pictures.ORANGE),
            (right, 100 * correct, pictures.BLUE),
        ):
            axes.plot(values, np.full(len(values), y), ".", color=color, alpha=0.4, markersize=7)
            middle = np.median(values) if axes is left else np.mean(values)
            axes.plot(middle, y, "|", color=color, markersize=14, markeredgewidth=2.5)
    left.set_yticks(range(len(found)), found)
    left.invert_yaxis()
    left.set(xlim=(0, None), xlabel=f"steps to {RIGHT:.0%}")
    right.set(xlabel="% of test images")
    left.set_title("Fast?", fontsize=11)
    right.set_title("Good in the end?", fontsize=11)


def main():
    args = pictures.options(__doc__)
    found = find()
    print("| optimizer | its best lr | steps to 95 % | loss in the end | test images right |")
    print("|" + "---|" * 5)
    for name, (lr, result) in found.items():
        print(row(name, lr, result))
    if args.plot:
        pictures.save(draw, args.plot, found, height=5)


if __name__ == "__main__":
    main()
