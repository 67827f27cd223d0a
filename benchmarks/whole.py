"""Steps that depend on whole tensors: what is measured, and the bounds by bytes and by products."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import gradstep as gs
from benchmarks import machine
from benchmarks.cases import thread_counts
from benchmarks.contestants import MEASURED, ROOFLINE, chosen
from benchmarks.contestants.contestant import Array, Contestant, Racer, first_line
from benchmarks.contestants.whole_tensors import FIELD, differs
from benchmarks.interleave import (
    BLAS_SETTLES,
    SETTLE_SECONDS,
    Run,
    Step,
    compared,
    interleaved,
    plain_rounds,
)
from benchmarks.race import heats, same_results, set_threads
from benchmarks.tensor_sets import TENSOR_SETS, Shapes, elements, make
from benchmarks.works import ADAMW, OF_WHOLE_TENSORS, Work
from benchmarks.wrapped import repeated
from gradstep.directions.newton_schulz import together

SECONDS = 6.0  # of timing per heat
LAYERS, WIDTH = 4, 768
SETS: dict[str, Shapes] = {
    "transformer": [
        *[(WIDTH, WIDTH)] * (4 * LAYERS),
        *[(WIDTH, 4 * WIDTH)] * (2 * LAYERS),
        *[(WIDTH,)] * 26,
    ],
    "MNIST MLP": TENSOR_SETS["MNIST MLP"],
    # Steps of all the transformer's matrices would take seconds.
    "eighth of the transformer's matrices": [(WIDTH, WIDTH)] * 2 + [(WIDTH, 4 * WIDTH)],
    "2 x 384²": [(WIDTH // 2, WIDTH // 2)] * 2,
    "MNIST MLP's matrices": [s for s in TENSOR_SETS["MNIST MLP"] if len(s) == 2],
}
SETS_OF = {
    "Muon": ("eighth of the transformer's matrices", "MNIST MLP's matrices"),
    "SOAP": ("2 x 384²", "MNIST MLP's matrices"),
}
# Bytes per element in float32, as docs/optimizers/whole-tensors.md has them.
MOVED = {
    "LAMB": 44,
    "LARS": 28,
    "NovoGrad": 24,
    "StableAdamW": 36,
    "MARS": 44,
    "Prodigy": 52,
    "Adafactor": 24,
    "ScheduleFreeSGD": 20,
    "ScheduleFreeAdamW": 28,
}


def muon_products(rows: int, columns: int) -> float:
    """FLOPs of five iterations; of a symmetric product a half. Those at once have one XXᵀ and one
    product with X together, a square each, and three products for each but the first."""
    n, m = sorted((rows, columns))
    default = {name: of_one.default for name, of_one in gs.Muon.method.hyperparameters.items()}
    counts = together((n, m), default["ns_coefficients"], default["ns_steps"])
    return sum(3 * n * n * m + (count + 3 * (count - 1)) * n**3 for count in counts)


def soap_products(rows: int, columns: int) -> float:
    """FLOPs of the gradient's rotation and the step's back, of G·Gᵀ and Gᵀ·G, of which a half, and
    in every tenth step of the momentum's from bases to bases; what makes those is not in it."""
    return (2.0 + 2.0 + 1.0 + 4.0 / 10) * rows * columns * (rows + columns)


# gradstep's SOAP decays in its first step, too: not what is to be compared.
OPTIONS: dict[str, dict[str, Any]] = {"SOAP": {"weight_decay": 0.0}}
EACH = {"SOAP": 10}  # steps that are timed as one, for every tenth has decompositions
PRODUCTS: dict[str, Callable[[int, int], float]] = {"Muon": muon_products, "SOAP": soap_products}


@dataclass(frozen=True)
class WholeCase:
    """One optimizer at its defaults on one set of tensors."""

    name: str
    tensor_set: str

    def __str__(self) -> str:
        return f"{self.name}, {self.tensor_set}"

    @property
    def work(self) -> Work:
        # All hold no more than four arrays like the parameters.
        return Work(self.name, getattr(gs, self.name), OPTIONS.get(self.name, {}), "", slots=4)

    @property
    def shapes(self) -> Shapes:
        return SETS[self.tensor_set]

    def products(self) -> float | None:
        """FLOPs of a step's matrix products; None where there are none."""
        count = PRODUCTS.get(self.name)
        if count is None:
            return None
        return sum(count(*shape) for shape in self.shapes if len(shape) == 2)


def cases() -> list[WholeCase]:
    both = ("transformer", "MNIST MLP")
    return [WholeCase(name, on) for name in OF_WHOLE_TENSORS for on in SETS_OF.get(name, both)]


def multiplication(shapes: Shapes) -> tuple[Step, float]:
    """NumPy's product of the largest matrix with a square one, and its FLOPs."""
    n, m = sorted(max(shapes, key=math.prod))
    left, right = make([(n, n), (n, m)], 0)
    out = np.empty((n, m), left.dtype)
    return lambda: np.matmul(left, right, out=out), 2.0 * n * n * m


class Products(Contestant):
    """In the roofline's place where products decide."""

    name = ROOFLINE

    def offers(self, work: Work) -> bool:
        return True

    def prepare(self, work: Work, params: list[Array], grads: list[Array]) -> Racer:
        return Racer(multiplication([p.shape for p in params if p.ndim == 2])[0], list)


def bound(case: WholeCase) -> tuple[Contestant, float]:
    """What is timed for the bound, and how many times as much a step has to do."""
    flops = case.products()
    if flops is not None:
        return Products(), flops / multiplication(case.shapes)[1]
    return FIELD[-1], MOVED[case.name] / ADAMW.bytes_per_element()


def taking_part(case: WholeCase) -> tuple[list[Contestant], dict[str, str]]:
    """Who does these steps, the bound last, and why others do not."""
    work, threads = case.work, thread_counts()[-1]
    field, left_out = chosen(work, case.shapes, "float32", threads, among=FIELD[:-1])
    small: Shapes = [tuple(min(n, 10) for n in shape) for shape in case.shapes]
    for contestant in list(field):
        if contestant.name == MEASURED:
            continue
        try:
            contestant.prepare(work, make(small, 0), make(small, 1)).step()
        except Exception as error:
            field.remove(contestant)
            left_out[contestant.name] = f"{case.name}: {first_line(error)}"
    return [*field, bound(case)[0]], left_out


def agreeing(case: WholeCase, field: list[Contestant]) -> list[Contestant]:
    """Those whose results have to be gradstep's."""
    return [c for c in field if c.name != ROOFLINE and not differs(c, case.work)]


def compete(case: WholeCase, rounds: int | None, run: Run) -> dict[str, Any]:
    """Everything that a report needs of one case."""
    threads, shapes, work = thread_counts()[-1], case.shapes, case.work
    set_threads(threads)
    field, left_out = taking_part(case)
    same_results(work, shapes, "float32", agreeing(case, field))
    factor, each = bound(case)[1], EACH.get(case.name, 1)
    settling = BLAS_SETTLES if case.products() else SETTLE_SECONDS
    found: dict[str, dict[str, Any]] = {"median_us": {}, "ratio": {}, "ratio_quartiles": {}}
    for heat in heats(field, 4 * elements(shapes), work.slots, machine.memory_budget()):
        steps = {c.name: c.prepare(work, make(shapes, 0), make(shapes, 1)).step for c in heat}
        steps = {name: repeated(step, each) for name, step in steps.items()}
        taken = interleaved(steps, MEASURED, SECONDS, rounds, run, settling)
        times = {name: [took / each for took in of_one] for name, of_one in taken.items()}
        times[ROOFLINE] = [factor * took for took in times[ROOFLINE]]
        for key, of_heat in compared(times, over=MEASURED).items():
            found[key] = of_heat | found[key]
        run = plain_rounds
        del steps
    return {
        "front": "whole",
        "optimizer": case.name,
        "tensor_set": case.tensor_set,
        "dtype": "float32",
        "threads": threads,
        "elements": elements(shapes),
        "tensors": len(shapes),
        "bytes_per_element": MOVED.get(case.name),
        "products": case.products(),
        "differs": {c.name: how for c in field if (how := differs(c, work))},
        "left_out": left_out,
        **found,
    }
