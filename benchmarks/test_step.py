"""One step of AdamW and SGD, on four kinds of model, beside peers and the roofline."""

from __future__ import annotations

from statistics import median
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from benchmarks.contestants import ADAMW, CLIPPED, SGD, Work, contestants, every_optimizer
from benchmarks.interleave import interleaved, ratios
from benchmarks.tensor_sets import TENSOR_SETS, make

CASES = [(work, name) for work in (ADAMW, SGD) for name in TENSOR_SETS] + [(CLIPPED, "33.5 M")]


def same_results(work: Work, shapes: list[tuple[int, ...]]) -> None:
    """All contestants agree on three steps of a small stand-in, or the race means nothing."""
    shapes = [tuple(min(n, 100) for n in shape) for shape in shapes[:10]]
    grads = make(shapes, seed=1)
    results = {}
    for name, contestant in contestants(work).items():
        params = make(shapes, seed=0)
        step = contestant(params, [g.copy() for g in grads])
        if name == "roofline" or step is None:
            continue
        for _ in range(3):
            step()
        results[name] = params
    for name, params in results.items():
        for ours, theirs in zip(results["gradstep"], params, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.parametrize(("work", "tensors"), CASES, ids=[f"{w.name}, {t}" for w, t in CASES])
def test_step(benchmark: Any, work: Work, tensors: str) -> None:
    race(benchmark, work, TENSOR_SETS[tensors], rounds=15 if tensors == "33.5 M" else 25)


ALL = every_optimizer()


@pytest.mark.parametrize("work", ALL, ids=[work.name for work in ALL])
def test_every_optimizer(benchmark: Any, work: Work) -> None:
    """One tensor of 33.5 M float32: the memory's share of every optimizer."""
    race(benchmark, work, TENSOR_SETS["33.5 M"], rounds=7)


def race(benchmark: Any, work: Work, shapes: list[tuple[int, ...]], rounds: int) -> None:
    same_results(work, shapes)
    grads = make(shapes, seed=1)
    steps = {}
    for name, contestant in contestants(work).items():
        # Clipping in place would leave the others nothing to clip.
        own = [g.copy() for g in grads] if work.clip_norm and "torch" in name else grads
        step = contestant(make(shapes, seed=0), own)
        if step is not None:
            steps[name] = step
    times = interleaved(benchmark, steps, "gradstep", rounds)

    elements = sum(int(np.prod(shape)) for shape in shapes)
    medians = {name: median(of_one) for name, of_one in times.items()}
    moved = work.bytes_per_element + (4 if work.clip_norm else 0)
    benchmark.extra_info.update(
        elements=elements,
        tensors=len(shapes),
        threads=gs.runtime.num_threads(),
        bytes_per_element=moved,
        gigabytes_per_second=elements * moved / medians["gradstep"] / 1e9,
        median_us={name: 1e6 * m for name, m in medians.items()},
        ratio=ratios(times, over="gradstep"),
    )
