"""Learning rates too low, right and too high, in a ravine where the bound is known.

pip install ".[examples]" && python examples/learning_rates.py --plot learning_rates.svg

SGD on w1² + 8·w2² from (1, 1). The steep side has curvature 16, so that w2 is multiplied by
1 − 16·lr in each step: above lr = 2/16 = 0.125 it grows. What one sees in 100 steps:

- 0.0005 is far too low: the loss has come from 9 to 2.4, and what is left is on the flat side.
- 0.1 is right: w2 overshoots in each step and shrinks by 0.6, w1 by 0.8.
- 0.13 is a little too high, and that is enough: w2 grows by 1.08 in each step, to 2,200, while w1,
  whose own bound is 1, has long arrived. One steep direction decides for all.
"""

from __future__ import annotations

import numpy as np
import pictures

import gradstep as gs

CURVATURE = np.array([2.0, 16.0])
RATES = {"too low": 0.0005, "right": 0.1, "too high": 0.13}
STEPS = 100


def descend(lr, steps=STEPS):
    """Where SGD stands before the first step and after each."""
    w = np.array([1.0, 1.0])
    opt = gs.SGD(w, lr=lr)
    path = [w.copy()]
    for _ in range(steps):
        opt.step(CURVATURE * w)
        path.append(w.copy())
    return np.array(path)


def loss(w):
    return np.square(w) @ CURVATURE / 2


def draw(figure, paths):
    top, bottom = figure.subplots(2, 1)
    colors = (pictures.BLUE, pictures.GREEN, pictures.ORANGE)
    for (name, path), color in zip(paths.items(), colors, strict=True):
        top.semilogy(loss(path), color=color, label=f"{name}: {RATES[name]}")
        bottom.plot(path[:26, 1], ".-", color=color, linewidth=1.2)
    top.set(ylim=(1e-12, 1e9), xlim=(0, STEPS), ylabel="loss")
    top.set_yticks((1e-12, 1e-8, 1e-4, 1, 1e4, 1e8))
    bottom.set(xlabel="steps", ylabel="w2", xlim=(0, 25))
    bottom.set_title("The first steps", fontsize=11)
    figure.legend(*top.get_legend_handles_labels(), loc="outside upper center", ncols=3)


def main():
    args = pictures.options(__doc__)
    paths = {name: descend(lr) for name, lr in RATES.items()}
    for name, path in paths.items():
        w1, w2 = path[-1]
        print(
            f"lr = {RATES[name]}, {name}: loss {loss(path[-1]):.2g} after {STEPS} steps, "
            f"w1 = {w1:.2g}, w2 = {w2:.2g}, {1 - CURVATURE[1] * RATES[name]:.4g} times in each step"
        )
    if args.plot:
        pictures.save(draw, args.plot, paths, height=5)


if __name__ == "__main__":
    main()
