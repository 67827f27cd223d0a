"""torch.optim: its fused kernels, its foreach and its for-loop implementation."""

from __future__ import annotations

from typing import Any, ClassVar

from benchmarks.contestants.contestant import Array, Contestant, Racer
from benchmarks.works import Work

FUSED = {"SGD", "Adagrad", "Adam", "AdamW"}
OFFERED = FUSED | {"ASGD", "Adadelta", "Adamax", "NAdam", "RAdam", "RMSprop", "Rprop"}


def tensors_on(params: list[Array], grads: list[Array]) -> list[Any]:
    """Parameters and their gradients that share memory with these arrays."""
    import torch

    tensors = [torch.nn.Parameter(torch.from_numpy(p)) for p in params]
    for tensor, grad in zip(tensors, grads, strict=True):
        tensor.grad = torch.from_numpy(grad)
    return tensors


def torch_optimizer(
    work: Work, params: list[Array], grads: list[Array], **how: bool
) -> tuple[list[Any], Any]:
    """Tensors that share memory with `params`, and the optimizer over them."""
    import torch

    # Clipping scales gradients in place and would leave the others nothing to clip.
    given = grads if work.clip_norm is None else [grad.copy() for grad in grads]
    tensors = tensors_on(params, given)
    return tensors, getattr(torch.optim, work.cls.__name__)(tensors, **work.options, **how)


class TorchEager(Contestant):
    requires = ("torch",)
    # ASGD keeps its step sizes in float32, NAdam the products of its momentum.
    tolerance: ClassVar[dict[str, float]] = {"float32": 1e-4, "float64": 3e-7}
    extra_arrays = 3

    def __init__(self, name: str, **how: bool) -> None:
        self.name, self.how = name, how

    def offers(self, work: Work) -> bool:
        return work.cls.__name__ in (FUSED if self.how.get("fused") else OFFERED)

    def set_threads(self, count: int) -> None:
        import torch

        torch.set_num_threads(count)

    def prepare(self, work: Work, params: list[Array], grads: list[Array]) -> Racer:
        import torch

        tensors, opt = torch_optimizer(work, params, grads, **self.how)
        if work.clip_norm is None:
            return Racer(opt.step, lambda: params)

        def step() -> None:
            torch.nn.utils.clip_grad_norm_(tensors, work.clip_norm)
            opt.step()

        def renew() -> None:
            for tensor, grad in zip(tensors, grads, strict=True):
                tensor.grad.copy_(torch.from_numpy(grad))

        return Racer(step, lambda: params, renew)
