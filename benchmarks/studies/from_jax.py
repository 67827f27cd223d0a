"""What it costs to take gradients from JAX and to give parameters back, beside Optax's step.

python -m benchmarks.studies.from_jax
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

import numpy as np

import gradstep as gs
from benchmarks.interleave import interleaved
from benchmarks.tensor_sets import make, mlp

MODELS = {"64-64-10": (64, 64, 10), "784-256-128-10": (784, 256, 128, 10), "1024 x 8": (1024,) * 9}
LR, SECONDS = 1e-3, 4.0


def parts(widths: tuple[int, ...]) -> dict[str, Callable[[], Any]]:
    """What a step consists of, and Optax's whole one, compiled, on donated buffers."""
    import jax
    import optax

    params = make(mlp(*widths), seed=0)
    grads = [jax.device_put(grad, may_alias=False) for grad in make(mlp(*widths), seed=1)]
    opt, given = gs.Adam(params, lr=LR), [np.asarray(grad) for grad in grads]
    adam = optax.adam(LR)
    theirs = [jax.device_put(param, may_alias=False) for param in params]
    state = adam.init(theirs)

    @partial(jax.jit, donate_argnums=(0, 1))
    def update(theirs: Any, state: Any, grads: Any) -> Any:
        updates, state = adam.update(grads, state, theirs)
        return optax.apply_updates(theirs, updates), state

    def optax_step() -> None:
        nonlocal theirs, state
        theirs, state = jax.block_until_ready(update(theirs, state, grads))

    return {
        "gradients in": lambda: [np.asarray(grad) for grad in grads],
        "gradstep": lambda: opt.step(given),
        "parameters out": lambda: jax.block_until_ready(jax.device_put(params, may_alias=False)),
        "optax": optax_step,
    }


def main() -> None:
    print(f"{'µs':<16}" + "".join(f"{name:>16}" for name in parts(MODELS["64-64-10"])))
    for name, widths in MODELS.items():
        times = interleaved(parts(widths), "gradstep", SECONDS)
        print(f"{name:<16}" + "".join(f"{1e6 * median(took):>16,.1f}" for took in times.values()))


if __name__ == "__main__":
    main()
