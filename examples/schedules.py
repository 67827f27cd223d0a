"""Draw every schedule of gradstep.schedules into one picture.

pip install ".[examples]" && python examples/schedules.py --out schedules.png
"""

from __future__ import annotations

import argparse
import textwrap

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from gradstep import schedules as s

STEPS = 200
COLUMNS = 5
FAMILIES = {  # the modules of gradstep.schedules, and their colours
    "base": "#64748b",
    "warmups": "#d97706",
    "decays": "#2563eb",
    "cycles": "#059669",
    "averages": "#db2777",
    "plateau": "#dc2626",
}
COMPOSED = "#7c3aed"

PICTURED = {
    "constant": s.constant(0.5),
    "piecewise": s.piecewise([60, 140], [1.0, 0.3, 0.1]),
    "linear_warmup": s.linear_warmup(80),
    "exponential_warmup": s.exponential_warmup(80),
    "warmup_stable_decay": s.warmup_stable_decay(30, 110, 60),
    "linear": s.linear(160, end=0.1),
    "step_decay": s.step_decay(40, 0.5),
    "multistep": s.multistep([80, 160], 0.3),
    "exponential": s.exponential(0.98),
    "inverse_time": s.inverse_time(20),
    "inverse_sqrt": s.inverse_sqrt(20),
    "polynomial": s.polynomial(160, power=2.0),
    "cosine_annealing": s.cosine_annealing(160),
    "cosine_restarts": s.cosine_restarts(29, growth=2),
    "one_cycle": s.one_cycle(STEPS),
    "cyclic": s.cyclic(25, mode="triangular2"),
    "debiased_ema": s.debiased_ema(0.97),
    "ema_warmup": s.ema_warmup(0.93),
    "equal_average": s.equal_average(start=50),
    "join": s.join([s.linear_warmup(30), s.cosine_restarts(57), s.constant(0.1)], at=[30, 144]),
    "ReduceLROnPlateau": s.ReduceLROnPlateau(1.0, factor=0.5, threshold=0.01),
}
COMPOSITIONS = [
    s.linear_warmup(30) * s.cosine_annealing(STEPS),
    s.cyclic(20) * s.exponential(0.985),
    s.exponential(0.98).clamp(low=0.2, high=0.8),
    s.exponential(0.7).per_epoch(steps=25),
]


def pictured():
    """An example of each factory, in the order of PICTURED."""
    missing = set(s.__all__) - {"Schedule"} - set(PICTURED)
    if missing:
        raise LookupError(
            f"schedules without a picture: {', '.join(sorted(missing))}; add them to PICTURED"
        )
    return list(PICTURED.values())


def family(schedule):
    return type(schedule).__module__.rpartition(".")[2]


def draw(axes, schedule, colour):
    axes.set_title("\n".join(textwrap.wrap(repr(schedule), 46)))
    if isinstance(schedule, s.ReduceLROnPlateau):
        values = run_plateau(axes, schedule)
    else:
        values = [schedule(step) for step in range(STEPS + 1)]
    axes.plot(values, color=colour, drawstyle="steps-post")
    axes.fill_between(range(STEPS + 1), values, step="post", color=colour, alpha=0.1, linewidth=0)


def run_plateau(axes, schedule):
    """Its values along a made-up metric, which falls to a floor that the value itself sets."""
    metric, metrics, values = 1.0, [], []
    for step in range(STEPS + 1):
        values.append(schedule(step))
        metric += 0.1 * (0.1 + 0.6 * schedule(step) - metric)
        metrics.append(metric)
        schedule.update(metric)
    axes.plot(metrics, color="#475569", linewidth=1, linestyle=(0, (3, 2)))
    axes.text(57, 0.54, "the metric", color="#475569")
    return values


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default="schedules.png", help="where the picture goes")
    out = parser.parse_args().out

    style = {
        "axes.grid": True,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlelocation": "left",
        "axes.titlesize": 7.5,
        "figure.titlesize": 15,
        "font.size": 8,
        "grid.alpha": 0.25,
        "lines.linewidth": 1.8,
    }
    panels = [(example, FAMILIES[family(example)]) for example in pictured()]
    panels += [(example, COMPOSED) for example in COMPOSITIONS]
    rows = -(-len(panels) // COLUMNS)
    with plt.rc_context(style):
        size = (3.1 * COLUMNS, 2.1 * rows)
        figure, grid = plt.subplots(
            rows, COLUMNS, figsize=size, sharex=True, sharey=True, layout="constrained"
        )
        for axes, (schedule, colour) in zip(grid.flat, panels, strict=False):
            draw(axes, schedule, colour)
        for axes in grid.flat[len(panels) :]:
            axes.remove()
        for axes in grid.flat[len(panels) - COLUMNS : len(panels)]:
            axes.tick_params(labelbottom=True)
            axes.set_xlabel("completed steps")
        grid[0, 0].set(xlim=(0, STEPS), ylim=(0, 1.05), yticks=(0, 0.5, 1))
        figure.suptitle("gradstep.schedules", x=0.012, ha="left", weight="bold")
        figure.savefig(out, dpi=130)
    print(f"{len(panels)} schedules in {out}")


if __name__ == "__main__":
    main()
