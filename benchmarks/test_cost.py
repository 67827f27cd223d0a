"""What each option adds to a step of AdamW: its time with the option over its time without."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from benchmarks.interleave import Step, interleaved, ratios, rounds_of
from benchmarks.tensor_sets import TENSOR_SETS, make

ADAMW_BYTES = 28  # per float32 element: the gradient read; parameter and two averages both ways


@dataclass(frozen=True)
class Feature:
    """An option, and the bytes per float32 element that it has to move."""

    name: str
    options: dict[str, Any]
    added_bytes: int = 0


SCHEDULE = gs.schedules.linear_warmup(100) * gs.schedules.cosine_annealing(10_000) * 1e-3

FEATURES = [
    Feature("nothing", {}),
    Feature("lr schedule", {"lr": SCHEDULE}),
    Feature("maximize", {"maximize": True}),
    Feature("clip_value", {"clip_value": 0.5}),
    Feature("l1", {"l1": 1e-3}),
    Feature("decoupled decay", {"weight_decay": 0.01}),
    Feature("coupled decay", {"weight_decay": 0.01, "decoupled_weight_decay": False}),
    Feature("clip_norm", {"clip_norm": 1.0}, 4),  # gradients read for their norm
    Feature("clip_tensor_norm", {"clip_tensor_norm": 1.0}, 4),  # the same
    # Gradients twice, for the norm of all and those of units, and parameters.
    Feature("clip_adaptive", {"clip_adaptive": 0.01}, 12),
    Feature("skip_nonfinite", {"skip_nonfinite": True}, 4),  # gradients read for their norm
    Feature("ema_decay", {"ema_decay": 0.999}, 8),  # the average, both ways
    Feature("amsgrad", {"amsgrad": True}, 8),  # the maximum, both ways
    Feature("cautious", {"cautious": True}, 16),  # parameter, gradient and state read to count
]
SECONDS = 4.0  # of timing per option and size
# A matrix of 33.5 million elements, so that it has units; and a model whose steps are overhead.
SIZES = {"33.5 M": [(2**13, 2**12)], "tiny MLP": TENSOR_SETS["tiny MLP"]}


@pytest.mark.parametrize("feature", FEATURES, ids=[feature.name for feature in FEATURES])
@pytest.mark.parametrize("tensors", SIZES)
def test_cost(benchmark: Any, feature: Feature, tensors: str, race_options: dict[str, Any]) -> None:
    shapes = SIZES[tensors]
    grads = make(shapes, seed=1)

    def step(options: dict[str, Any]) -> Step:
        opt = gs.AdamW(make(shapes, seed=0), **{"lr": 1e-3, "weight_decay": 0.0, **options})
        return lambda: opt.step(grads)

    steps = {"off": step({}), "on": step(feature.options)}
    times = interleaved(steps, "on", SECONDS, race_options["rounds"], rounds_of(benchmark))
    benchmark.extra_info.update(
        elements=sum(int(np.prod(shape)) for shape in shapes),
        threads=gs.runtime.num_threads(),
        off_and_on_us={name: 1e6 * median(of_one) for name, of_one in times.items()},
        time_ratio=ratios(times, over="off")["on"][1],
        bytes_ratio=(ADAMW_BYTES + feature.added_bytes) / ADAMW_BYTES,
    )
