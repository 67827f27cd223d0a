"""What momentum is good for: narrow ravines, and sometimes the way out of a local minimum.

pip install ".[examples]" && python examples/momentum.py --plot momentum.svg

In the ravines w1² + 8·w2² and w1² + 100·w2², from (1, 1), lr is 0.4 of what their steep side allows
without momentum (0.05 and 0.004), and counted are the steps until the loss stays below 1e-3. What
one sees:

- The narrower the ravine, the more momentum helps, and the more of it is best. More than best is
  worse, for the walk swings; the gradient taken ahead (Nesterov) calms it, and forgives too much.
- On 0.1·w² + sin(2w) with lr = 0.1 SGD stays in the valley where it began, from every start.
  Momentum 0.9 has the swing to leave: from w = 4 it passes one hill and rests in the lowest valley.
- Of 241 starts 39 % end in the lowest valley, 27 % with SGD, and none ends higher than with SGD. It
  is no way to be sure of it. With the gradient taken ahead, which brakes before the hill, nothing
  is gained here: each start ends where it does with SGD.
"""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pictures

import gradstep as gs

RAVINES = {8: 0.05, 100: 0.004}  # the curvature of the steep side over that of the other: lr
MOMENTA = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.97, 0.99)
FORMS = ("momentum", "Nesterov")
STARTS = np.linspace(-6, 6, 241)
LOWEST = -0.747  # where 0.1·w² + sin(2w) is


def optimizer(w, lr, mu):
    return gs.SGD(w, lr=lr, momentum=mu, lr_in_velocity=mu > 0)


def point(opt, form):
    """Where the gradient is taken."""
    return opt.lookahead() if form == "Nesterov" and opt.momentum > 0 else nullcontext()


def steps_needed(form, mu, narrow, lr, most=2000):
    """Until the loss stays below 1e-3."""
    w, curvature = np.array([1.0, 1.0]), np.array([1.0, narrow])
    opt = optimizer(w, lr, mu)
    above = 0
    while opt.steps < most:
        with point(opt, form):
            gradient = 2 * curvature * w
        opt.step(gradient)
        if curvature @ np.square(w) >= 1e-3:
            above = opt.steps
    return above + 1


def hills(w):
    return 0.1 * np.square(w) + np.sin(2 * w)


def roll(form, mu, starts, lr=0.1, steps=400):
    """Where each start is after each step, (steps + 1, starts): all are elements of one array."""
    w = np.array(starts, float)
    opt = optimizer(w, lr, mu)
    path = [w.copy()]
    for _ in range(steps):
        with point(opt, form):
            gradient = 0.2 * w + 2 * np.cos(2 * w)
        opt.step(gradient)
        path.append(w.copy())
    return np.array(path)


def find():
    """Steps that the ravines take, by form, and where the starts end on the hills, by name."""
    needed = {
        (narrow, form): [steps_needed(form, mu, narrow, lr) for mu in MOMENTA]
        for narrow, lr in RAVINES.items()
        for form in FORMS
    }
    ends = {
        name: roll(form, mu, STARTS)[-1]
        for name, form, mu in (
            ("SGD", "momentum", 0.0),
            ("momentum 0.9", "momentum", 0.9),
            ("Nesterov 0.9", "Nesterov", 0.9),
        )
    }
    return needed, ends


def shares(ends):
    """Of all starts: how many end in the lowest valley, lower than SGD's, and higher."""
    heights = {name: hills(end) for name, end in ends.items()}
    return {
        name: (
            np.mean(np.abs(ends[name] - LOWEST) < 0.1),
            np.mean(height < heights["SGD"] - 0.1),
            np.mean(height > heights["SGD"] + 0.1),
        )
        for name, height in heights.items()
    }


def draw(figure, needed, ends):
    """Steps over momentum, and two ways from w = 4."""
    top, middle, bottom = figure.subplots(3, 1, height_ratios=(1.4, 1.2, 0.8))
    for (narrow, form), steps in needed.items():
        color = pictures.BLUE if narrow == 8 else pictures.ORANGE
        style = "-" if form == "momentum" else "--"
        label = f"1 : {narrow}, {form}"
        top.plot(MOMENTA, steps, style, marker=".", color=color, label=label)
    top.set(xlabel="momentum", ylabel="steps to 1e-3", yscale="log")
    top.set_yticks((10, 20, 50, 100, 200, 500, 1000), (10, 20, 50, 100, 200, 500, "1,000"))
    top.minorticks_off()
    top.set_title("Ravines")
    figure.legend(*top.get_legend_handles_labels(), loc="outside upper center", ncols=2)
    line = np.linspace(-6, 6, 301)
    middle.plot(line, hills(line), color=pictures.FAINT, linewidth=1.5)
    for mu, color, size in ((0.0, pictures.BLUE, 11), (0.9, pictures.ORANGE, 6)):
        path = roll("momentum", mu, [4.0], steps=60)
        name = f"momentum {mu}" if mu else "SGD"
        middle.plot(
            path, hills(path), ".-", color=color, linewidth=0.8, markersize=size, label=name
        )
    middle.set(xlabel="w", ylabel="loss")
    middle.set_title("From w = 4")
    middle.legend(loc="upper center")
    found = shares(ends)
    names = list(found)[::-1]
    bars = bottom.barh(names, [100 * found[name][0] for name in names], color=pictures.GREEN)
    bottom.bar_label(bars, fmt="%.0f %%", padding=3)
    bottom.set_title("Of all starts, end in the lowest valley")
    bottom.set(xlim=(0, 60), xlabel="%")
    bottom.grid(False)


def main():
    args = pictures.options(__doc__)
    needed, ends = find()
    print("steps to 1e-3, momentum " + "".join(f"{mu:>6}" for mu in MOMENTA))
    for (narrow, form), steps in needed.items():
        print(f"{f'1 : {narrow}, {form}':>23} " + "".join(f"{count:>6,}" for count in steps))
    for name, (lowest, lower, higher) in shares(ends).items():
        print(
            f"{name:>12}: {lowest:.0%} of starts end in the lowest valley, "
            f"{lower:.0%} lower than SGD, {higher:.0%} higher"
        )
    if args.plot:
        pictures.save(draw, args.plot, needed, ends, height=8)


if __name__ == "__main__":
    main()
