"""Walk optimizers down a bowl and down a ravine, from (1, 1), lr = 0.1, 50 steps.

pip install ".[examples]" && python examples/ravine.py --plot ravine.svg --surface surface.svg

The bowl is w1² + w2², the ravine w1² + 8·w2². What one sees:

- SGD walks straight into the bowl. Across the ravine it leaps from wall to wall, w2 changes its
  sign on every step, for lr is close to the bound of 2/16 that the steep side sets.
- Momentum 0.1 barely helps. 0.9 swings past the minimum, and after 50 steps its loss is above
  plain SGD's: in a ravine this wide it has nothing to win. 0.99 is still swinging.
- Nesterov takes the gradient where momentum leads. In the bowl that calms it: of its loss there is
  less than of momentum's. In the ravine it diverges, which no table of optimizers warns of: with
  μ = 0.9 and the gradient taken ahead lr must stay below (2 + 2μ)/(1 + 2μ)/16 = 0.085.
- AdaGrad, RMSprop and Adam divide by the size of the gradient: bowl and ravine are nearly or
  wholly the same to them.
- RMSprop with α = 0.1 ends in leaps between ±0.05: its steps are lr long, wherever they begin. With
  α = 0.99 it lands in the minimum at once. That is luck: its first step is 0.1/√0.01 = 1 long, and
  1 is how far away it began.
- Adadelta has hardly set off: its steps begin at √ε, and lr = 0.1 shortens them further.
"""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from pathlib import Path

import numpy as np
import pictures
from matplotlib.patches import Ellipse

import gradstep as gs

START, LR, STEPS = (1.0, 1.0), 0.1, 50
FUNCTIONS = {"bowl": (1.0, 1.0), "ravine": (1.0, 8.0)}  # a1, a2 of a1·w1² + a2·w2²

momentum = partial(gs.SGD, lr_in_velocity=True)
rmsprop = partial(gs.RMSprop, eps=1e-10)
OPTIMIZERS = {
    "SGD": gs.SGD,
    "momentum 0.1": partial(momentum, momentum=0.1),
    "momentum 0.9": partial(momentum, momentum=0.9),
    "momentum 0.99": partial(momentum, momentum=0.99),
    "Nesterov 0.9": partial(momentum, momentum=0.9),
    "AdaGrad": gs.Adagrad,
    "RMSprop 0.1": partial(rmsprop, alpha=0.1),
    "RMSprop 0.9": partial(rmsprop, alpha=0.9),
    "RMSprop 0.99": partial(rmsprop, alpha=0.99),
    "Adadelta": gs.Adadelta,
    "Adam": gs.Adam,
}
LOOKING_AHEAD = ("Nesterov 0.9",)


def loss(w, function):
    return np.square(w) @ np.array(FUNCTIONS[function])


def trajectory(name, function, lr=LR, steps=STEPS):
    """Where an optimizer stands before the first step and after each, (steps + 1, 2)."""
    w = np.array(START)
    opt = OPTIMIZERS[name](w, lr=lr)
    path = [w.copy()]
    for _ in range(steps):
        with opt.lookahead() if name in LOOKING_AHEAD else nullcontext():
            gradient = 2.0 * np.array(FUNCTIONS[function]) * w
        opt.step(gradient)
        path.append(w.copy())
    return np.array(path)


def trajectories():
    return {
        (name, function): trajectory(name, function)
        for name in OPTIMIZERS
        for function in FUNCTIONS
    }


def draw(figure, paths):
    """Each path in the ravine, over its lines of equal loss, and beneath it that in the bowl."""
    grid = figure.subplots(4, 3, sharex=True, sharey=True)
    for axes, name in zip(grid.flat, OPTIMIZERS, strict=False):
        contours(axes)
        bowl, ravine = (paths[name, function].T for function in FUNCTIONS)
        axes.plot(*bowl, color=pictures.SKY, linewidth=4, label="the bowl")
        line = {"color": pictures.ORANGE, "linewidth": 1.2, "markersize": 3}
        axes.plot(*ravine, ".-", **line, label="the ravine")
        axes.plot(*START, "o", color=pictures.BLACK, markersize=4, label="the start")
        axes.set_title(name, fontsize=11)
    for axes in grid[:, 0]:
        axes.set_ylabel("w2", labelpad=0)
    for axes in grid[-1]:
        axes.set_xlabel("w1", labelpad=0)
    grid.flat[-1].set_axis_off()
    grid.flat[-1].legend(*grid.flat[0].get_legend_handles_labels(), loc="center")


def contours(axes):
    a1, a2 = FUNCTIONS["ravine"]
    for level in (0.2, 1, 2.5, 5):
        width, height = 2 * np.sqrt(level / a1), 2 * np.sqrt(level / a2)
        line = {"fill": False, "color": pictures.FAINT, "linewidth": 0.6}
        axes.add_patch(Ellipse((0, 0), width, height, **line))
    axes.set(xlim=(-1.25, 1.25), ylim=(-1.25, 1.25), xticks=(-1, 0, 1), yticks=(-1, 0, 1))
    axes.grid(False)


def draw_surface(figure, paths):
    """The ravine as a landscape, and three ways down."""
    axes = figure.add_subplot(projection="3d", computed_zorder=False)
    line = np.linspace(-1.1, 1.1, 49)
    w1, w2 = np.meshgrid(line, line)
    heights = loss(np.stack([w1, w2], axis=-1), "ravine")
    style = {"cmap": "Greys", "vmin": -6, "vmax": 24, "linewidth": 0, "rasterized": True}
    axes.plot_surface(w1, w2, heights, **style)
    for name, color in zip(("momentum 0.9", "SGD", "Adam"), pictures.COLORS, strict=False):
        path = on_the_ground(paths[name, "ravine"][:20])
        above = loss(path, "ravine") + 0.1
        axes.plot(*path.T, above, color=color, label=name, linewidth=1.6)
    axes.view_init(elev=48, azim=-72)
    axes.set(xlabel="w1", ylabel="w2", zlabel="loss", xticks=(-1, 0, 1), yticks=(-1, 0, 1))
    axes.set_zticks((0, 5, 10))
    axes.set_box_aspect((4, 4, 2.6), zoom=1.05)
    figure.legend(loc="outside upper center", ncols=3)


def on_the_ground(path, parts=8):
    """Each step in several, so that a line through them follows the surface."""
    share = np.arange(parts)[:, None] / parts
    between = path[:-1, None] + share * (path[1:] - path[:-1])[:, None]
    return np.concatenate([*between, path[-1:]])


def main():
    parser = pictures.parser(__doc__)
    parser.add_argument(
        "--surface", type=Path, metavar="FILE", help="the ravine in three dimensions"
    )
    args = parser.parse_args()
    paths = trajectories()
    print(f"after {STEPS} steps     loss in the bowl  in the ravine  (w1, w2) in the ravine")
    for name in OPTIMIZERS:
        bowl, ravine = (loss(paths[name, function][-1], function) for function in FUNCTIONS)
        w1, w2 = paths[name, "ravine"][-1]
        print(f"{name:>16}  {bowl:>18.2g}  {ravine:>13.2g}  ({w1:.2g}, {w2:.2g})")
    if args.plot:
        pictures.save(draw, args.plot, paths, height=7.2)
    if args.surface:
        pictures.save(draw_surface, args.surface, paths, height=4.0)


if __name__ == "__main__":
    main()
