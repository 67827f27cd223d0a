"""What Lookahead and SAM cost beside the AdamW within, in units of the bytes that they must move.

Of every wrapper there are two steps over the same optimizer: it, and the optimizer alone.
Gradients stay, so that closures cost nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from statistics import median
from typing import Any

import gradstep as gs
from benchmarks.contestants.contestant import Array, first_line
from benchmarks.contestants.torch_eager import tensors_on
from benchmarks.contestants.whole_tensors import AdamWRoofline
from benchmarks.interleave import Step, spread
from benchmarks.tensor_sets import Shapes, make
from benchmarks.works import ADAMW, LR

K = 5  # Lookahead's; all of its steps are timed as one
EACH = {"Lookahead": K, "SAM": 1}
# Bytes per element of so many steps. Lookahead: p and the slow weights, read and written. SAM: the
# gradient for its norm; p and the gradient read, p and what is kept written; that read, p written.
MOVED = {"Lookahead": 16, "SAM": 28}
# Of reads alone, which is what steps wait for: what AdamW writes it has read. SAM reads a second
# gradient for its norm, too; what it keeps is written past the caches.
READ = {"Lookahead": 8, "SAM": 20}
READ_BY_ADAMW = 16
WITHIN, BOUND = ", within", "bound"
Pair = tuple[Step, Step]  # of the wrapper and of the optimizer within


def repeated(step: Step, count: int) -> Step:
    def steps() -> None:
        for _ in range(count):
            step()

    return steps


def ours(kind: str, params: list[Array], grads: list[Array]) -> Pair:
    within = gs.AdamW(params, lr=LR)
    if kind == "SAM":
        sam = gs.SAM(within)
        return partial(sam.step, lambda: (0.0, grads)), partial(within.step, grads)
    return partial(gs.Lookahead(within, k=K).step, grads), partial(within.step, grads)


def ours_on_tensors(kind: str, params: list[Array], grads: list[Array]) -> Pair:
    from gradstep.torch import SAM, AdamW, Lookahead

    within = AdamW(tensors_on(params, grads), lr=LR)
    if kind == "SAM":
        return partial(SAM(within).step, lambda: 0.0), within.step
    return Lookahead(within, k=K).step, within.step


def pytorch_optimizer(kind: str, params: list[Array], grads: list[Array]) -> Pair:
    """Around torch's fused AdamW. It patches `step` of the optimizer that it is given, so that the
    one alone is another."""
    from pytorch_optimizer import SAM, Lookahead
    from torch.optim import AdamW

    tensors, others = tensors_on(params, grads), tensors_on(params, grads)
    alone = AdamW(others, lr=LR, fused=True).step
    if kind == "Lookahead":
        return Lookahead(AdamW(tensors, lr=LR, fused=True), k=K).step, alone
    sam = SAM(tensors, AdamW, lr=LR, fused=True)  # which goes not with foreach=True
    given = [tensor.grad for tensor in tensors]

    def closure() -> float:
        for tensor, grad in zip(tensors, given, strict=True):
            tensor.grad = grad  # it has let go of them
        return 0.0

    return partial(sam.step, closure), alone


def optax_jitted(kind: str, params: list[Array], grads: list[Array]) -> Pair:
    import jax
    import optax

    if kind == "SAM":
        raise NotImplementedError("its SAM takes alternate steps, or the model into jit")
    adamw = optax.adamw(LR, weight_decay=0.01)
    given = [jax.numpy.array(grad) for grad in grads]

    def jitted(opt: Any, values: Any) -> Step:
        held = [values, opt.init(values)]

        @partial(jax.jit, donate_argnums=(0, 1))
        def update(values: Any, state: Any) -> Any:
            updates, state = opt.update(given, state, values)
            return optax.apply_updates(values, updates), state

        def step() -> None:
            held[:] = update(*held)
            jax.block_until_ready(held)

        return step

    def arrays() -> list[Any]:
        return [jax.numpy.array(p) for p in params]

    both = optax.LookaheadParams(fast=arrays(), slow=arrays())
    return jitted(optax.lookahead(adamw, K, 0.5), both), jitted(adamw, arrays())


FIELD: dict[str, Callable[[str, list[Array], list[Array]], Pair]] = {
    "gradstep": ours,
    "gradstep on tensors": ours_on_tensors,
    "pytorch-optimizer": pytorch_optimizer,
    "optax": optax_jitted,
}


def steps(kind: str, shapes: Shapes) -> tuple[dict[str, Step], dict[str, str]]:
    """All pairs of steps and the stream of AdamW's bytes, and why others take no part."""
    found: dict[str, Step] = {}
    left_out = {}
    for name, start in FIELD.items():
        try:
            wrapped, within = start(kind, make(shapes, 0), make(shapes, 1))
            wrapped()
        except Exception as error:
            if name == "gradstep":
                raise
            left_out[name] = f"{kind}: {first_line(error)}"
            continue
        found[name] = repeated(wrapped, EACH[kind])
        found[name + WITHIN] = repeated(within, EACH[kind])
    stream = AdamWRoofline().prepare(ADAMW, make(shapes, 0), make(shapes, 1))
    return {**found, BOUND: stream.step}, left_out


def overheads(kind: str, times: Mapping[str, list[float]]) -> dict[str, Any]:
    """µs per step beside the optimizer within, and in units of the bound, of each round."""
    share = MOVED[kind] / ADAMW.bytes_per_element()
    bounds = [share * seconds for seconds in times[BOUND]]
    reads = [READ[kind] / READ_BY_ADAMW * seconds for seconds in times[BOUND]]
    median_us, units, units_read = {BOUND: 1e6 * median(bounds) / EACH[kind]}, {}, {}
    within_us = {}
    for name in FIELD:
        if name in times:
            pairs = list(zip(times[name], times[name + WITHIN], strict=True))
            more = [wrapped - within for wrapped, within in pairs]
            median_us[name] = 1e6 * median(more) / EACH[kind]
            within_us[name] = 1e6 * median(within for _, within in pairs) / EACH[kind]
            units[name] = spread([m / b for m, b in zip(more, bounds, strict=True)])
            units_read[name] = spread([m / b for m, b in zip(more, reads, strict=True)])
    return {
        "median_us": median_us,
        "within_us": within_us,
        "units": units,
        "units_read": units_read,
    }
