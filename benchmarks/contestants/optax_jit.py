"""Optax, jitted with donated parameters and state."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar

import numpy as np

from benchmarks.cases import thread_counts
from benchmarks.contestants.contestant import Array, Contestant, Racer
from benchmarks.works import LR, Work

# Only those that compute the same as gradstep.
Make = Callable[[Any], Any]
MAKE: dict[str, Make] = {
    "SGD": lambda optax: optax.sgd(LR),
    "SGD, momentum": lambda optax: optax.sgd(LR, momentum=0.9),
    "SignSGD": lambda optax: optax.sign_sgd(LR),
    "Signum": lambda optax: optax.signum(LR),
    "Lion": lambda optax: optax.lion(LR, weight_decay=0.0),
    "Adagrad": lambda optax: optax.adagrad(LR, initial_accumulator_value=0.0, eps=1e-20),
    "Adadelta": lambda optax: optax.adadelta(LR, rho=0.9, eps=1e-6),
    "RMSprop": lambda optax: optax.rmsprop(LR, decay=0.99, eps_in_sqrt=False),
    "RMSprop, momentum, centered": lambda optax: optax.rmsprop(
        LR, decay=0.99, eps_in_sqrt=False, momentum=0.9, centered=True
    ),
    "Adam": lambda optax: optax.adam(LR),
    "AdamW": lambda optax: optax.adamw(LR, weight_decay=0.01),
    "clip_norm + AdamW": lambda optax: optax.chain(
        optax.clip_by_global_norm(1.0), optax.adamw(LR, weight_decay=0.01)
    ),
    "RAdam": lambda optax: optax.radam(LR),
    "Adamax": lambda optax: optax.adamax(LR),
    "AdaBelief": lambda optax: optax.adabelief(LR),
    "Yogi": lambda optax: optax.yogi(LR),
    "AdEMAMix": lambda optax: optax.contrib.ademamix(LR),
}


class Optax(Contestant):
    """XLA's thread pool is made at its first use, and is not to be changed later."""

    name = "optax"
    requires = ("jax", "optax")
    # Its Adagrad has an eps under the root, its RAdam computes the rectification in float32.
    tolerance: ClassVar[dict[str, float]] = {"float32": 1e-4, "float64": 1e-7}
    extra_arrays = 1
    most_tensors = 1000
    make: ClassVar[Mapping[str, Make]] = MAKE

    def offers(self, work: Work) -> bool:
        return work.name in self.make

    def try_out(self) -> None:
        os.environ["NPROC"] = str(thread_counts()[-1])  # how large XLA makes its pool

    def fits_threads(self, count: int) -> bool:
        return count == thread_counts()[-1]

    def prepare(self, work: Work, params: list[Array], grads: list[Array]) -> Racer:
        import jax
        import optax

        jax.config.update("jax_enable_x64", True)
        opt = self.make[work.name](optax)
        given: list[Any] = []
        values = [jax.numpy.array(p) for p in params]
        # A state may have the same array twice, which cannot be donated.
        held = [values, jax.tree.map(jax.numpy.copy, opt.init(values))]

        @partial(jax.jit, donate_argnums=(0, 1))
        def update(values: Any, state: Any, grads: Any) -> Any:
            updates, state = opt.update(grads, state, values)
            return optax.apply_updates(values, updates), state

        def step() -> None:
            held[:] = update(*held, given)
            jax.block_until_ready(held)

        def renew() -> None:
            given[:] = [jax.numpy.array(g) for g in grads]

        renew()
        return Racer(step, lambda: [np.asarray(value) for value in held[0]], renew)
