"""What L-BFGS costs beside its closure, per iteration with ten pairs in its history.

The function is a quadratic with curvatures from 1 to 10,000. Each step of 20 iterations begins at
the same point, so that none converges; the history stays. What is subtracted is timed in the same
rounds: going back to that point and as many evaluations as the step has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np

import gradstep as gs
from benchmarks.contestants import MEASURED, ROOFLINE
from benchmarks.contestants.contestant import Array, first_line
from benchmarks.contestants.whole_tensors import AdamWRoofline
from benchmarks.interleave import Step, compared
from benchmarks.tensor_sets import make
from benchmarks.works import ADAMW

SIZES = (1_000_000, 100)
PAIRS, ITERATIONS = 10, 20
OPTIONS = {
    "max_iter": ITERATIONS,
    "max_eval": 10 * ITERATIONS,
    "history_size": PAIRS,
    "tolerance_grad": 0.0,
    "tolerance_change": 0.0,
}
# Bytes per element and iteration in float32. Of each pair: s read twice, y once. Besides, read and
# written: the gradient and its copy; this and the last one, d, and the new s and y; the gradient
# and the sum over the y; both and d; p and d, and p.
MOVED = PAIRS * 12 + 8 + 20 + 8 + 12 + 12
STREAMED = 10  # times as many elements, as many as lie in memory, as the history does
CLOSURE = ", closure"


class Solver(NamedTuple):
    step: Step  # of so many iterations
    closure: Step  # what it evaluates meanwhile, and going back
    params: Callable[[], Array]


def curvatures(count: int) -> Array:
    return np.geomspace(1, 1e4, count, dtype=np.float32)


def repeated(back: Step, evaluate: Step, count: int) -> Step:
    def steps() -> None:
        back()
        for _ in range(count):
            evaluate()

    return steps


def counted(step: Step, evaluations: list[int]) -> int:
    """Evaluations of a step, after the first ones, that fill the history."""
    step()
    before = evaluations[0]
    step()
    return evaluations[0] - before


def ours(count: int) -> Solver:
    start, h = make([(count,)], 0)[0], curvatures(count)
    p, g = start.copy(), np.empty_like(start)
    opt, evaluations = gs.LBFGS(p, **OPTIONS), [0]

    def closure() -> tuple[float, Array]:
        evaluations[0] += 1
        np.multiply(h, p, out=g)
        return 0.5 * float(p @ g), g

    back = partial(np.copyto, p, start)

    def step() -> None:
        back()
        opt.step(closure)

    return Solver(step, repeated(back, closure, counted(step, evaluations)), p.copy)


def on_tensors(cls: type, count: int) -> Solver:
    import torch

    start, h = torch.from_numpy(make([(count,)], 0)[0]), torch.from_numpy(curvatures(count))
    p = torch.nn.Parameter(start.clone())
    p.grad = torch.zeros_like(start)
    opt, evaluations = cls([p], **OPTIONS), [0]
    value, g = p.detach(), p.grad

    def closure() -> float:
        evaluations[0] += 1
        torch.mul(h, value, out=g)
        return 0.5 * float(torch.dot(value, g))

    back = partial(value.copy_, start)

    def step() -> None:
        back()
        opt.step(closure)

    return Solver(
        step, repeated(back, closure, counted(step, evaluations)), lambda: value.numpy().copy()
    )


def ours_on_tensors(count: int) -> Solver:
    from gradstep.torch import LBFGS

    return on_tensors(LBFGS, count)


def torch_lbfgs(count: int) -> Solver:
    import torch

    return on_tensors(torch.optim.LBFGS, count)


def optax_lbfgs(count: int) -> Solver:
    """Its direction and the way along it, jitted; the gradient is another jitted function."""
    import jax
    import optax

    opt = optax.lbfgs(1.0, memory_size=PAIRS, linesearch=None)
    start, h = jax.numpy.array(make([(count,)], 0)[0]), jax.numpy.array(curvatures(count))
    held = [start.copy(), jax.tree.map(jax.numpy.copy, opt.init(start))]
    slope = jax.jit(lambda p: (h * p, 0.5 * jax.numpy.vdot(p, h * p)))

    @partial(jax.jit, donate_argnums=(0, 1))
    def update(p: Any, state: Any, g: Any) -> Any:
        updates, state = opt.update(g, state, p)
        return optax.apply_updates(p, updates), state

    def evaluate() -> Any:
        return jax.block_until_ready(slope(held[0]))[0]

    def back() -> None:
        held[0] = jax.block_until_ready(start.copy())

    def step() -> None:
        back()
        for _ in range(ITERATIONS):
            held[:] = update(*held, evaluate())
            jax.block_until_ready(held)

    return Solver(step, repeated(back, evaluate, ITERATIONS), lambda: np.asarray(held[0]))


FIELD: dict[str, Callable[[int], Solver]] = {
    MEASURED: ours,
    "gradstep on tensors": ours_on_tensors,
    "torch": torch_lbfgs,
    "optax": optax_lbfgs,
}


def steps(count: int) -> tuple[dict[str, Step], dict[str, str]]:
    """All steps and closures and the stream of AdamW's bytes, and why others take no part."""
    found: dict[str, Step] = {}
    left_out = {}
    for name, start in FIELD.items():
        try:
            solver = start(count)
            solver.step()
        except Exception as error:
            if name == MEASURED:
                raise
            left_out[name] = f"LBFGS: {first_line(error)}"
            continue
        found |= {name: solver.step, name + CLOSURE: solver.closure}
    several = [(STREAMED * count,)]
    stream = AdamWRoofline().prepare(ADAMW, make(several, 0), make(several, 1))
    return {**found, ROOFLINE: stream.step}, left_out


def beside_closures(times: Mapping[str, list[float]]) -> dict[str, Any]:
    """Per iteration, without the closure's time of the same round."""
    share = MOVED / (STREAMED * ADAMW.bytes_per_element())
    own = {ROOFLINE: [share * seconds for seconds in times[ROOFLINE]]}
    for name in FIELD:
        if name in times:
            pairs = zip(times[name], times[name + CLOSURE], strict=True)
            # A closure's mood may exceed what is left of a step: not below a nanosecond.
            own[name] = [max(step - closure, 1e-9) / ITERATIONS for step, closure in pairs]
    return compared(own, over=MEASURED)
