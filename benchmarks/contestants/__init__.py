"""What a step is compared with: one module per library, and the list of all."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.contestants.contestant import Contestant, Racer, why_missing
from benchmarks.contestants.deepspeed_cpu import DeepSpeed
from benchmarks.contestants.numba_loops import NumbaLoops
from benchmarks.contestants.optax_jit import Optax
from benchmarks.contestants.ours import Native, Reference
from benchmarks.contestants.plain_numpy import PlainNumpy
from benchmarks.contestants.roofline import Roofline
from benchmarks.contestants.thinc_optimizer import Thinc
from benchmarks.contestants.torch_compiled import TorchCompiled
from benchmarks.contestants.torch_eager import TorchEager
from benchmarks.tensor_sets import Shapes
from benchmarks.works import Work

__all__ = [
    "ALL",
    "MEASURED",
    "NAMES",
    "PEERS",
    "PINNED",
    "ROOFLINE",
    "Racer",
    "available",
    "chosen",
    "tracked_of",
]

MEASURED, ROOFLINE = "gradstep", "roofline"
ALL: tuple[Contestant, ...] = (
    Native(),
    TorchEager("torch fused", fused=True),
    TorchEager("torch foreach", foreach=True),
    TorchEager("torch for-loop", foreach=False),
    TorchCompiled(),
    Optax(),
    DeepSpeed(),
    Thinc(),
    NumbaLoops(),
    PlainNumpy(),
    Reference(),
    Roofline(),
)
NAMES = tuple(contestant.name for contestant in ALL)
# Whom a case is tracked against: the first that takes part.
PINNED = ("torch fused", "scikit-learn", "numpy")
PEERS = tuple(name for name in NAMES if name not in (MEASURED, ROOFLINE))


def available() -> dict[str, str | None]:
    """Of every contestant why it cannot take part here, or None where it can."""
    return {contestant.name: why_missing(contestant) for contestant in ALL}


def chosen(
    work: Work,
    shapes: Shapes,
    dtype: str,
    threads: int,
    everything: bool = False,
    names: Sequence[str] | None = None,
    among: Sequence[Contestant] = ALL,
) -> tuple[list[Contestant], dict[str, str]]:
    """Who takes part in this work, and of those who have it and do not, why."""
    taking_part, left_out = [], {}
    for contestant in among:
        if (names is not None and contestant.name not in names) or not contestant.offers(work):
            continue
        if dtype not in contestant.dtypes:
            left_out[contestant.name] = f"it has no {dtype}"
        elif not everything and contestant.takes_long(work, shapes):
            left_out[contestant.name] = "it takes long: see --everything"
        elif not contestant.fits_threads(threads):
            left_out[contestant.name] = f"it cannot be told to use {threads} threads"
        elif (reason := why_missing(contestant)) is not None:
            left_out[contestant.name] = reason
        else:
            taking_part.append(contestant)
    return taking_part, left_out


def tracked_of(field: Sequence[Contestant]) -> list[Contestant]:
    """Those of a field whose times are tracked: gradstep, the roofline and the pinned peer."""
    names = [contestant.name for contestant in field]
    pinned = [name for name in PINNED if name in names][:1]
    return [c for c in field if c.name in (MEASURED, ROOFLINE, *pinned)]
