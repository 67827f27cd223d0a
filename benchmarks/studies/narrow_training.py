"""Do models in fewer bits learn what they learn in float32?

``python -m benchmarks.studies.narrow_training --plot docs/pictures/narrow_training.svg``

AdamW on two small models, a learning rate at which steps are smaller than half the last place of
most bfloat16 parameters: five seeds in float32, and each way to store parameters or state from the
same seeds. Losses are those of all examples, by the parameters as they are stored.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

import gradstep as gs
from benchmarks.studies.small_models import CHARACTERS, DIGITS, Data, Model, gradients, loss

LR = 3e-4
SEEDS = 5
LOOKS = 15  # losses along the way, for the picture
FLOAT32, NEAREST = "float32", "bfloat16, nearest"


class Way(NamedTuple):
    """A dtype of the parameters, and options."""

    dtype: Any
    options: dict[str, Any]


WAYS: dict[str, Way] = {
    FLOAT32: Way(np.float32, {}),
    "bfloat16, split": Way(ml_dtypes.bfloat16, {"rounding": "split"}),
    "bfloat16, kahan": Way(ml_dtypes.bfloat16, {"rounding": "kahan"}),
    "bfloat16, stochastic": Way(ml_dtypes.bfloat16, {"rounding": "stochastic"}),
    NEAREST: Way(ml_dtypes.bfloat16, {}),
    "float32, state in bfloat16": Way(np.float32, {"state_dtype": "bfloat16"}),
    "float32, state in 8 bits": Way(np.float32, {"state_dtype": "8bit"}),
    "bfloat16, stochastic, state in bfloat16": Way(
        ml_dtypes.bfloat16, {"rounding": "stochastic", "state_dtype": "bfloat16"}
    ),
}
Losses = dict[str, list[list[float]]]  # of each way: of each seed, along the way


def train(
    model: Model, data: Data, way: Way, seed: int, lr: float = LR, looks: int = 1
) -> Iterator[float]:
    """The losses at so many places, the last one the end."""
    params = [p.astype(way.dtype) for p in model.weights(seed)]
    opt = gs.AdamW(params, lr=lr, seed=seed, **way.options)
    rng = np.random.default_rng(100 + seed)
    for t in range(1, model.steps + 1):
        wide = [p.astype(np.float32) for p in params]
        opt.step(gradients(wide, data, model.batch, rng))
        if t % (model.steps // looks) == 0:
            yield loss([p.astype(np.float32) for p in params], data)


def study(model: Model) -> Losses:
    data = model.data()
    return {
        name: [list(train(model, data, way, seed, looks=LOOKS)) for seed in range(SEEDS)]
        for name, way in WAYS.items()
    }


def final(losses: Losses, name: str) -> list[float]:
    return [along[-1] for along in losses[name]]


def table(found: Mapping[str, Losses]) -> list[str]:
    """Of each model the mean, and the least and the most of all seeds."""
    lines = ["| | " + " | ".join(f"{model}: loss" for model in found) + " |"]
    lines.append("|" + "---|" * (1 + len(found)))
    for name in WAYS:
        cells = []
        for losses in found.values():
            of_one = final(losses, name)
            cells.append(f"{mean(of_one):.4g} ({min(of_one):.4g} to {max(of_one):.4g})")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def draw(found: Mapping[str, Losses], path: Path) -> None:
    """Losses along the way, the mean of all seeds; the band is that of float32's seeds."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    from benchmarks.pictures import STYLE

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 4), layout="constrained")
        for axes, (title, losses) in zip(
            figure.subplots(1, len(found)), found.items(), strict=True
        ):
            steps = np.linspace(0, 1, LOOKS + 1)[1:]
            seeds = np.array(losses[FLOAT32])
            axes.fill_between(
                steps, seeds.min(0), seeds.max(0), color="lightgrey", label="float32, five seeds"
            )
            for name in WAYS:
                style = {"color": "black", "linestyle": "--"} if name == FLOAT32 else {}
                axes.plot(steps, np.mean(losses[name], axis=0), label=name, linewidth=1, **style)
            axes.set_yscale("log")
            axes.set_title(title)
            axes.set_xlabel("share of the training")
        figure.axes[0].set_ylabel("loss of all examples, mean of five seeds")
        figure.axes[0].legend(fontsize=7, frameon=False)
        figure.savefig(path, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw how the losses fell")
    path = parser.parse_args().plot
    found = {}
    for model in (DIGITS, CHARACTERS):
        found[f"{model.name}, {model.steps:,} steps"] = study(model)
    print("\n".join(table(found)))
    if path:
        draw(found, path)


if __name__ == "__main__":
    main()
