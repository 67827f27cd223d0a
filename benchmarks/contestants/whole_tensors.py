"""Who takes steps that depend on whole tensors."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from benchmarks.contestants.contestant import Array, Contestant, Racer
from benchmarks.contestants.optax_jit import Make, Optax
from benchmarks.contestants.ours import Native, OnTensors
from benchmarks.contestants.roofline import Roofline
from benchmarks.contestants.torch_eager import TorchEager, tensors_on
from benchmarks.whole_peers import PEERS, Peer
from benchmarks.works import ADAMW, Work


class Library(Contestant):
    """Optimizers over PyTorch's tensors, batched over them (`foreach`) where a class can.

    Some write into gradients, by a factor to a norm or so, which users let go of. So they have
    their own, which are not renewed between timed steps.
    """

    dtypes = ("float32",)
    extra_arrays = 4

    def __init__(self, peer: Peer) -> None:
        self.name, self.requires, self.peer = peer.name, (peer.module,), peer

    def offers(self, work: Work) -> bool:
        return work.name in self.peer.entries

    def prepare(self, work: Work, params: list[Array], grads: list[Array]) -> Racer:
        import torch

        tensors = tensors_on(params, [grad.copy() for grad in grads])
        opt = self.peer.make(work.name, tensors)

        def renew() -> None:
            for tensor, given in zip(tensors, grads, strict=True):
                tensor.grad.copy_(torch.from_numpy(given))

        def step() -> None:
            renew()
            opt.step()

        return Racer(
            step if self.peer.entries[work.name].copies else opt.step, lambda: params, renew
        )


class OnTensorsToo(OnTensors):
    """gradstep.torch beside gradstep on arrays: the same bits."""

    name = "gradstep on tensors"
    tolerance: ClassVar[dict[str, float]] = {"float32": 0.0}

    def offers(self, work: Work) -> bool:
        return work.name not in OF_MATRICES


class MatricesOnTensors(OnTensors):
    """The same where PyTorch multiplies, which rounds otherwise than NumPy's BLAS."""

    name = "gradstep on tensors"

    def offers(self, work: Work) -> bool:
        return work.name in OF_MATRICES


class InBFloat16(MatricesOnTensors):
    name = "gradstep on tensors, bfloat16"

    def offers(self, work: Work) -> bool:
        return work.name == "Muon"

    def prepare(self, work: Work, params: list[Array], grads: list[Array]) -> Racer:
        in_bfloat16 = replace(work, options={**work.options, "ns_dtype": "bfloat16"})
        return super().prepare(in_bfloat16, params, grads)


class Yardstick(Contestant):
    """AdamW, whichever optimizer is measured."""

    extra_arrays = 1

    def __init__(self, name: str, within: Contestant) -> None:
        self.name, self.within, self.requires = name, within, within.requires

    def offers(self, work: Work) -> bool:
        return True

    def prepare(self, work: Work, params: list[Array], grads: list[Array]) -> Racer:
        return self.within.prepare(ADAMW, params, grads)


class AdamWRoofline(Roofline):
    """What AdamW moves, streamed: other optimizers' bounds are in proportion to it."""

    extra_arrays = 2

    def prepare(self, work: Work, params: list[Array], grads: list[Array]) -> Racer:
        return super().prepare(ADAMW, params, grads)


OPTAX: dict[str, Make] = {
    "LAMB": lambda optax: optax.lamb(1e-3),
    "LARS": lambda optax: optax.lars(0.1),
    "NovoGrad": lambda optax: optax.novograd(0.01, b1=0.95, b2=0.98, eps=1e-8),
    "Prodigy": lambda optax: optax.contrib.prodigy(),
    "ScheduleFreeSGD": lambda optax: optax.contrib.schedule_free_sgd(1.0),
    "ScheduleFreeAdamW": lambda optax: optax.contrib.schedule_free_adamw(2.5e-3),
    "Adafactor": lambda optax: optax.adafactor(0.01, min_dim_size_to_factor=1),
    "Muon": lambda optax: optax.contrib.muon(1e-3, weight_decay=0.1),
}


class OptaxWhole(Optax):
    make = OPTAX


OF_MATRICES = ("Muon", "SOAP")
ARRAYS, TENSORS = Native(), OnTensorsToo()
FIELD: tuple[Contestant, ...] = (
    ARRAYS,
    TENSORS,
    MatricesOnTensors(),
    InBFloat16(),
    *map(Library, PEERS),
    OptaxWhole(),
    Yardstick("AdamW, gradstep", Native()),
    Yardstick("AdamW, torch fused", TorchEager("torch fused", fused=True)),
    AdamWRoofline(),
)
# What Optax computes otherwise.
OPTAX_DIFFERS = {
    "Prodigy": "averages corrected for bias",
    "Muon": "momentum corrected for bias",
}


def differs(contestant: Contestant, work: Work) -> str:
    """In what a contestant's arithmetic is another one; "" where results agree."""
    if isinstance(contestant, Library):
        return contestant.peer.entries[work.name].differs
    if isinstance(contestant, InBFloat16):
        return "products in bfloat16"
    if isinstance(contestant, MatricesOnTensors) and work.name == "SOAP":
        return "another basis where averages lack rank"
    if isinstance(contestant, OptaxWhole):
        return OPTAX_DIFFERS.get(work.name, "")
    return "AdamW" if isinstance(contestant, Yardstick) else ""
