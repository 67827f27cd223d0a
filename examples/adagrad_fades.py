"""Why AdaGrad's steps fade, and those of RMSprop and Adam do not.

pip install ".[examples]" && python examples/adagrad_fades.py --plot adagrad_fades.svg

The gradient is 1 in every step, lr = 0.1. What one sees: AdaGrad divides by the root of the sum of
all squares so far, and its step is 0.1/√t, a tenth of the first after 100 steps, whether or not the
minimum is near. RMSprop takes a mean that forgets: its first step is 1/√(1−α) times too long, 10
times with α = 0.99, and then they settle at lr. Adam corrects its means for having begun at 0, and
steps lr from the first step on.
"""

from __future__ import annotations

import numpy as np
import pictures

import gradstep as gs

LR, STEPS = 0.1, 1000
OPTIMIZERS = {"AdaGrad": gs.Adagrad, "RMSprop": gs.RMSprop, "Adam": gs.Adam}


def steps_taken(name, gradient=1.0):
    """How far each step goes under a constant gradient."""
    w = np.zeros(1)
    opt = OPTIMIZERS[name](w, lr=LR)
    path = [0.0]
    for _ in range(STEPS):
        opt.step(np.array([gradient]))
        path.append(w[0])
    return np.abs(np.diff(path))


def draw(figure, steps):
    axes = figure.subplots()
    for name, color in zip(steps, pictures.COLORS, strict=False):
        axes.loglog(range(1, STEPS + 1), steps[name], color=color, label=name)
    axes.set(xlabel="steps", ylabel="length of the step", ylim=(0.002, 1.5))
    axes.set_xticks((1, 10, 100, 1000), ("1", "10", "100", "1,000"))
    axes.set_yticks((0.01, 0.1, 1), ("0.01", "0.1", "1"))
    axes.annotate("0.1/√t", (100, 0.009), ha="right", va="top", color=pictures.BLUE)
    figure.legend(loc="outside upper center", ncols=3)


def main():
    args = pictures.options(__doc__)
    steps = {name: steps_taken(name) for name in OPTIMIZERS}
    looks = (1, 10, 100, 1000)
    print("step " + "".join(f"{look:>9,}" for look in looks))
    for name, taken in steps.items():
        print(f"{name:>8} " + "".join(f"{taken[look - 1]:>9.4f}" for look in looks))
    if args.plot:
        pictures.save(draw, args.plot, steps, height=3.6)


if __name__ == "__main__":
    main()
