"""Let SGD, momentum and Adam race on a curve that is hard to follow.

pip install ".[examples]" && python examples/race.py --plot race.svg

A network of 1-64-64-1, tanh, learns y = exp(−x²)·cos(10x) + 0.03·noise from 10,000 points of
−3 < x < 3, in batches of 64 at lr = 0.01, from Kaiming-normal weights. One sees: Adam has nearly
the whole wave after 2,000 steps, momentum after 10,000, and SGD by then no more than its middle. At
500, 1,000, 2,000, 5,000 and 10,000 steps the order is Adam, momentum, SGD, with each of five seeds.
It is a race at one lr, the same for all, and says nothing of each one's best. And who comes first
does not come to rest: at this lr Adam's loss stays at twice the noise, and jumps.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import pictures

import gradstep as gs

LR, BATCH, POINTS, WIDTH = 0.01, 64, 10_000, 64
MEAN_OF = 100  # batches
LOOKS = (500, 1_000, 2_000, 5_000, 10_000)
OPTIMIZERS = {
    "SGD": gs.SGD,
    "momentum": partial(gs.SGD, momentum=0.9),
    "Adam": gs.Adam,
}
LINE = np.linspace(-3, 3, 301, dtype=np.float32)[:, None]


def curve(x):
    return np.exp(-np.square(x)) * np.cos(10 * x)


def points(rng):
    x = rng.uniform(-3, 3, (POINTS, 1))
    return x.astype(np.float32), (curve(x) + 0.03 * rng.normal(size=x.shape)).astype(np.float32)


def init_params(rng):
    def layer(fan_in, fan_out):
        return rng.normal(0, np.sqrt(2 / fan_in), (fan_in, fan_out)).astype(np.float32)

    weights = {"W1": layer(1, WIDTH), "W2": layer(WIDTH, WIDTH), "W3": layer(WIDTH, 1)}
    return weights | {f"b{i}": np.zeros(n, np.float32) for i, n in ((1, WIDTH), (2, WIDTH), (3, 1))}


def forward(params, x):
    """Both hidden layers and the output."""
    first = np.tanh(x @ params["W1"] + params["b1"])
    second = np.tanh(first @ params["W2"] + params["b2"])
    return first, second, second @ params["W3"] + params["b3"]


def loss_and_grads(params, x, y):
    """Mean squared error, and its gradient."""
    first, second, output = forward(params, x)
    error = output - y
    d_output = (2 / len(x)) * error
    d_second = (d_output @ params["W3"].T) * (1 - second * second)
    d_first = (d_second @ params["W2"].T) * (1 - first * first)
    return float(np.vdot(error, error)) / len(x), {
        "W1": x.T @ d_first,
        "W2": first.T @ d_second,
        "W3": second.T @ d_output,
        "b1": d_first.sum(axis=0),
        "b2": d_second.sum(axis=0),
        "b3": d_output.sum(axis=0),
    }


def train(name, seed, looks=LOOKS):
    """Losses, each the mean of so many batches, by step, and the fitted function at each look."""
    rng = np.random.default_rng(seed)
    (x, y), params = points(rng), init_params(rng)
    opt = OPTIMIZERS[name](params, lr=LR)
    losses, fits = [], {}
    while opt.steps < looks[-1]:
        batch = rng.integers(POINTS, size=BATCH)
        loss, grads = loss_and_grads(params, x[batch], y[batch])
        opt.step(grads)
        losses.append(loss)
        if opt.steps in looks:
            fits[opt.steps] = forward(params, LINE)[2].ravel()
    means = np.reshape(losses, (-1, MEAN_OF)).mean(axis=1)
    return dict(zip(range(MEAN_OF, looks[-1] + 1, MEAN_OF), means, strict=True)), fits


def draw(figure, runs):
    """Losses along the way, and what was fitted at each look."""
    shown = list(next(iter(runs.values()))[1])
    top, *fits = figure.subplots(1 + len(shown), 1, height_ratios=[2] + [1] * len(shown))
    for name, color in zip(runs, pictures.COLORS, strict=False):
        losses, _ = runs[name]
        top.semilogy(losses.keys(), losses.values(), color=color, label=name)
    top.axhline(0.03**2, color=pictures.FAINT, linestyle="--", linewidth=1)
    top.annotate("noise", (0, 0.03**2), va="bottom", color=pictures.FAINT)
    top.set(ylabel=f"loss of {MEAN_OF} batches", xlabel="steps")
    figure.legend(*top.get_legend_handles_labels(), loc="outside upper center", ncols=len(runs))
    for axes, look in zip(fits, shown, strict=True):
        axes.plot(LINE, curve(LINE), color=pictures.FAINT, linewidth=3, alpha=0.5)
        for name, color in zip(runs, pictures.COLORS, strict=False):
            axes.plot(LINE, runs[name][1][look], color=color, linewidth=1.3)
        axes.set(ylim=(-1.1, 1.1), yticks=(-1, 0, 1), xlim=(-3, 3))
        axes.set_title(f"after {look:,} steps", fontsize=11)
        axes.tick_params(labelbottom=axes is fits[-1])
    fits[-1].set_xlabel("x; grey: the curve to be learnt")


def main():
    parser = pictures.parser(__doc__)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    runs = {name: train(name, args.seed) for name in OPTIMIZERS}
    print("loss after" + "".join(f"{look:>9,}" for look in LOOKS) + " steps")
    for name, (losses, _) in runs.items():
        print(f"{name:>10}" + "".join(f"{losses[look]:>9.5f}" for look in LOOKS))
    if args.plot:
        pictures.save(draw, args.plot, runs, height=9)


if __name__ == "__main__":
    main()
