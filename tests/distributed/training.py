"""Training by shards of gradients: on ranks, and in one process that sees all shards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import gradstep as gs
from gradstep.directions.table import OF_RULE
from gradstep.reference import RULES
from gradstep.reference.rules import NOTHING
from tests.helpers import Array, everything, gradients
from tests.spec import Options
from tests.specs import CASES

STEPS = 3
ELEMENTWISE = [
    case for case in CASES if RULES[case[1].rule].whole is NOTHING and case[1].rule not in OF_RULE
]
IDS = [f"{spec.cls.__name__}-{variant.name}" for spec, variant in ELEMENTWISE]


def params_of(dtype: str = "float32", seed: int = 0) -> dict[str, Array]:
    """Tensors that cuts for 2, 3 and 4 ranks go through, of both orders, and small ones."""
    shapes: dict[str, tuple[int, ...]] = {"scalar": (), "empty": (0, 3), "large": (5000,)}
    shapes |= {f"small{i}": (37,) for i in range(5)}
    shapes |= {"matrix": (310, 21), "block": (1024,), "wide": (3, 2100)}
    rng = np.random.default_rng(seed)
    params = {name: rng.normal(size=shape).astype(dtype) for name, shape in shapes.items()}
    params["fortran"] = np.asfortranarray(rng.normal(size=(290, 15)).astype(dtype))
    return params


@dataclass
class Training:
    """What is trained; `absent` have no gradient in the second step."""

    cls: type[gs.Optimizer]
    options: Options = field(default_factory=dict)
    shards: int = 4
    average: bool = True
    grad_scale: float = 1.0
    with_norm: bool = False
    absent: Sequence[str] = ("small2", "wide")
    make: Callable[[], Any] = params_of
    nonfinite: bool = False  # in one element of one shard in the third step
    arranged: Callable[[dict[str, Array]], Any] = dict  # as they are given to the optimizer
    change: Callable[[Any, int], object] = lambda opt, step: None  # before each step

    def gradients(self, params: dict[str, Array], step: int, shard: int) -> dict[str, Any]:
        found: dict[str, Any] = dict(gradients(params, 100 * step + shard))
        if step == 1:
            found |= dict.fromkeys(self.absent)
        if self.nonfinite and step == 2 and shard == self.shards - 1:
            found["large"][4999] = np.inf
        return found

    def in_one_process(self) -> tuple[dict[str, Array], list[gs.StepInfo]]:
        params = self.make()
        opt = self.cls(self.arranged(params), **self.options)
        infos = []
        for step in range(STEPS):
            self.change(opt, step)
            shards = [self.gradients(params, step, shard) for shard in range(self.shards)]
            total = {
                name: None if shards[0][name] is None else tree([of[name] for of in shards])
                for name in params
            }
            scale = self.grad_scale / self.shards if self.average else self.grad_scale
            infos.append(opt.step(total, grad_scale=scale, with_norm=self.with_norm))
        return everything(opt), infos

    def on(self, comm: Any, **more: Any) -> tuple[dict[str, Array], list[gs.StepInfo]]:
        params = self.make()
        opt = gs.distributed.Sharded(
            self.cls, self.arranged(params), comm, average=self.average, **self.options, **more
        )
        infos = [self.step(opt, params, step) for step in range(STEPS)]
        return everything_of(opt), infos

    def step(self, opt: gs.distributed.Sharded, params: dict[str, Array], step: int) -> gs.StepInfo:
        self.change(opt, step)
        first, last = (self.shards * rank // opt.size for rank in (opt.rank, opt.rank + 1))
        return opt.step(
            [self.gradients(params, step, shard) for shard in range(first, last)],
            shards=self.shards,
            grad_scale=self.grad_scale,
            with_norm=self.with_norm,
        )


def tree(of: Sequence[Array], rounded: Callable[[Array], Array] = lambda x: x) -> Array:
    """The sum of arrays in a binary tree whose left subtrees are as large as they can be."""
    if len(of) == 1:
        return of[0].astype(np.float32) if of[0].itemsize == 2 else of[0]
    middle = 1
    while middle * 2 < len(of):
        middle *= 2
    with np.errstate(all="ignore"):
        total: Array = rounded(tree(of[:middle], rounded)) + rounded(tree(of[middle:], rounded))
    return total


def everything_of(opt: gs.distributed.Sharded) -> dict[str, Array]:
    """As `everything` of an optimizer in one process."""
    state = opt.state_dict()
    arrays = {name: param.copy() for name, param in opt.params.items()}
    for name, slots in state["state"].items():
        arrays |= {f"{name}/{slot}": array for slot, array in slots.items() if slot != "step"}
    return arrays | {f"{name}/ema": array for name, array in state["ema"].items()}
