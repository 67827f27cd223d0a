"""Steps on PyTorch's tensors: what is measured, and who takes part."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import median
from typing import Any

import numpy as np

from benchmarks.cases import LARGE, Case, thread_counts
from benchmarks.contestants import MEASURED
from benchmarks.contestants.contestant import Contestant, Racer
from benchmarks.contestants.ours import Native, OnTensors
from benchmarks.contestants.torch_eager import TorchEager, tensors_on
from benchmarks.interleave import Step, spread
from benchmarks.race import CHECKED_STEPS
from benchmarks.tensor_sets import TENSOR_SETS, Shapes, elements, make, mlp
from benchmarks.works import ADAMW, CLIPPED, LR, SGD, WORKS

# Steps in float32.

FUSED, DEFAULT = TorchEager("torch fused", fused=True), TorchEager("torch default")
FIELD = (OnTensors(), FUSED, DEFAULT, TorchEager("torch foreach", foreach=True))
SETS: dict[str, Shapes] = {
    **TENSOR_SETS,
    "actor and critic": mlp(4, 64, 64, 2) + mlp(4, 64, 64, 1),
}


def cases() -> list[Case]:
    """AdamW on small and large models, and on a large one the optimizers that PyTorch fuses not."""
    chosen = [(ADAMW, name) for name in ("1000 x 1000", "tiny MLP", "actor and critic")]
    chosen += [(work, name) for name in ("ResNet-50", "GPT-2 small") for work in (ADAMW, SGD)]
    not_fused = [WORKS[name] for name in ("RMSprop", "Adadelta", "NAdam", "RAdam", "Adamax")]
    chosen += [(work, "ResNet-50") for work in (CLIPPED, *not_fused)]
    return [Case(work, name, "float32", thread_counts()[-1]) for work, name in chosen]


# Steps with bfloat16. Each contestant is given a parameter in float32 and its gradient in bfloat16,
# and shows the tensors that a step sets.

HALF_ELEMENTS = elements(TENSOR_SETS[LARGE])
Start = Callable[[Any, Any], Racer]


def shown(*tensors: Any) -> Callable[[], list[Any]]:
    return lambda: [tensor.detach().float().numpy() for tensor in tensors]


def all_bfloat16(cls: type, how: Mapping[str, Any], param: Any, gradient: Any) -> Racer:
    import torch

    tensor = torch.nn.Parameter(param.bfloat16())
    tensor.grad = gradient
    return Racer(cls([tensor], lr=LR, **how).step, shown(tensor))


def ours_in_bfloat16(param: Any, gradient: Any) -> Racer:
    from gradstep.torch import AdamW

    return all_bfloat16(AdamW, {}, param, gradient)


def torch_in_bfloat16(param: Any, gradient: Any) -> Racer:
    from torch.optim import AdamW

    return all_bfloat16(AdamW, {"fused": True}, param, gradient)


def ours_on_lists(param: Any, gradient: Any) -> Racer:
    """One pass over the master, its averages, the gradient and the copy."""
    import torch

    from gradstep.torch import adamw_step

    averages = [[torch.zeros_like(param)] for _ in range(2)]
    copy, steps = param.bfloat16(), [torch.tensor(0.0)]
    step = partial(adamw_step, [param], [gradient], *averages, steps, [copy], lr=LR)
    return Racer(step, shown(param, copy))


def torch_three_passes(param: Any, gradient: Any) -> Racer:
    """The gradient widened, the step on the master, and the master narrowed."""
    import torch

    master, copy = torch.nn.Parameter(param), param.bfloat16()
    opt = torch.optim.AdamW([master], lr=LR, fused=True)

    def step() -> None:
        master.grad = gradient.float()
        opt.step()
        copy.copy_(master.detach())

    return Racer(step, shown(master, copy))


HALVES: dict[str, dict[str, Start]] = {
    "AdamW, all bfloat16": {MEASURED: ours_in_bfloat16, "torch fused": torch_in_bfloat16},
    "AdamW, bfloat16 gradients and copies": {
        MEASURED: ours_on_lists,
        "torch, three passes": torch_three_passes,
    },
}


def given(count: int, scale: float = 1.0) -> tuple[Any, Any]:
    """A parameter, and its gradient in bfloat16."""
    import torch

    param, gradient = (torch.from_numpy(make([(count,)], seed)[0]) for seed in (0, 1))
    return scale * param, gradient.bfloat16()


def same_halves(field: Mapping[str, Start]) -> None:
    """All go the same way in a few steps, up to a rounding to bfloat16 in each and averages in it.

    Parameters are so small that such a rounding is, beside the way that they go.
    """
    results = {}
    for name, start in field.items():
        param, gradient = given(1000, scale=0.01)
        racer = start(param, gradient)
        for t in range(CHECKED_STEPS):
            gradient.copy_(given(1000)[1].roll(t))
            racer.step()
        results[name] = racer.params()
    for name, tensors in results.items():
        for expected, got in zip(results[MEASURED], tensors, strict=True):
            np.testing.assert_allclose(
                got, expected, CHECKED_STEPS * 2**-8, 0.02 * CHECKED_STEPS * LR, err_msg=name
            )


# What a step costs beside its arithmetic.

COUNTS = (1, 10, 100, 1000)  # of tensors
EACH = 8  # elements


def of(who: str, count: int) -> str:
    """What a contestant's step of so many tensors is called."""
    return f"{who}, {count} tensors"


def tiny_steps(count: int) -> dict[str, Step]:
    """Steps of so many tensors, whose gradients stay, and the calls of PyTorch that they need."""
    import torch

    shapes: Shapes = [(EACH,)] * count

    def step(contestant: Contestant) -> Step:
        return contestant.prepare(ADAMW, make(shapes, 0), make(shapes, 1)).step

    params = tensors_on(make(shapes, 0), make(shapes, 1))
    return {
        **{contestant.name: step(contestant) for contestant in (OnTensors(), FUSED, DEFAULT)},
        "gradstep on NumPy arrays": step(Native()),
        "p.grad of all, read in Python": lambda: [param.grad for param in params],
        "torch._C._increment_version": partial(torch._C._increment_version, params),
    }


def call_and_tensor(seconds: Sequence[float]) -> tuple[float, float]:
    """What a call takes and what each tensor adds, given a step's time for each of the counts.

    The line that fits best by shares of the times: each count says as much as another.
    """
    each, call = np.polyfit(COUNTS, seconds, 1, w=1 / np.asarray(seconds))
    return float(call), float(each)


def overhead(times: Mapping[str, list[float]]) -> dict[str, Any]:
    """Of every contestant what steps of all counts take, and both parts of it, fitted in each
    round."""
    first = f", {COUNTS[0]} tensors"
    names = [key.removesuffix(first) for key in times if key.endswith(first)]
    median_us, call_us, tensor_us = {}, {}, {}
    for who in names:
        of_counts = [times[of(who, count)] for count in COUNTS]
        median_us[who] = [1e6 * median(seconds) for seconds in of_counts]
        fits = [call_and_tensor(of_one) for of_one in zip(*of_counts, strict=True)]
        call_us[who], tensor_us[who] = (
            spread([1e6 * part for part in parts]) for parts in zip(*fits, strict=True)
        )
    return {"median_us": median_us, "call_us": call_us, "tensor_us": tensor_us}
