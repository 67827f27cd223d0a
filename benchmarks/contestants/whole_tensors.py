"""Libraries that have optimizers of whole tensors, each with what it calls them."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from benchmarks.contestants.contestant import Array, Contestant, Racer
from benchmarks.contestants.optax_jit import Make, Optax
from benchmarks.contestants.ours import Native, OnTensors
from benchmarks.contestants.roofline import Roofline
from benchmarks.contestants.torch_eager import TorchEager, tensors_on
from benchmarks.works import ADAMW, Work


@dataclass(frozen=True)
class Entry:
    """A class and the options with which it is gradstep's default.

    `differs` says in what its arithmetic is another one nevertheless; "" where results agree.
    `copies` where gradients would vanish from step to step, if each did not begin with new ones.
    """

    cls: str
    options: Mapping[str, Any] = field(default_factory=dict)
    differs: str = ""
    group: Mapping[str, Any] = field(default_factory=dict)
    copies: bool = False


class Library(Contestant):
    """Optimizers over PyTorch's tensors, batched over them (`foreach`) where a class can.

    Some write into gradients, by a factor to a norm or so, which users let go of. So they have
    their own, which are not renewed between timed steps.
    """

    dtypes = ("float32",)
    extra_arrays = 4

    def __init__(
        self, name: str, module: str, entries: Mapping[str, Entry], foreach: bool | None = True
    ) -> None:
        self.name, self.requires, self.entries = name, (module,), entries
        self.foreach = foreach

    def offers(self, work: Work) -> bool:
        return work.name in self.entries

    def prepare(self, work: Work, params: list[Array], grads: list[Array]) -> Racer:
        import torch

        entry = self.entries[work.name]
        cls = getattr(importlib.import_module(self.requires[0]), entry.cls)
        options = dict(entry.options)
        if "foreach" in inspect.signature(cls).parameters:
            options.setdefault("foreach", self.foreach)
        tensors = tensors_on(params, [grad.copy() for grad in grads])
        opt = cls([{"params": tensors, **entry.group}], **options)
        if hasattr(opt, "train"):
            opt.train()

        def renew() -> None:
            for tensor, given in zip(tensors, grads, strict=True):
                tensor.grad.copy_(torch.from_numpy(given))

        def step() -> None:
            renew()
            opt.step()

        return Racer(step if entry.copies else opt.step, lambda: params, renew)


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


TORCH = {
    "Adafactor": Entry("Adafactor"),
    "Muon": Entry("Muon", differs="products in bfloat16"),
}
PYTORCH_OPTIMIZER = {
    "LAMB": Entry("Lamb", differs="gradients scaled by their norm"),
    "LARS": Entry("LARS", {"lr": 0.1}, "vectors without a trust ratio"),
    "NovoGrad": Entry("NovoGrad", {"lr": 0.01}, copies=True),
    "MARS": Entry("MARS", {"optimize_1d": True}),
    "StableAdamW": Entry("StableAdamW", {"eps": 1e-6, "kahan_sum": False}),
    "Prodigy": Entry("Prodigy"),
    "ScheduleFreeSGD": Entry("ScheduleFreeSGD"),
    "ScheduleFreeAdamW": Entry("ScheduleFreeAdamW"),
    "Adafactor": Entry("AdaFactor", {"betas": (None, 0.999), "lr": 0.01}),
    "Muon": Entry(
        "Muon", {"lr": 1e-3, "weight_decay": 0.1}, "products in bfloat16", {"use_muon": True}
    ),
    "SOAP": Entry("SOAP", {"weight_decay": 0.0}, "another basis where averages lack rank"),
}
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
    Library("torch", "torch.optim", TORCH, foreach=None),
    Library("torch foreach", "torch.optim", {"Adafactor": TORCH["Adafactor"]}),
    Library("pytorch-optimizer", "pytorch_optimizer", PYTORCH_OPTIMIZER),
    Library("torch-optimi", "optimi", {"StableAdamW": Entry("StableAdamW", {"lr": 1e-3})}),
    Library("prodigyopt", "prodigyopt", {"Prodigy": Entry("Prodigy")}),
    Library(
        "schedulefree",
        "schedulefree",
        {
            "ScheduleFreeSGD": Entry("SGDScheduleFree"),
            "ScheduleFreeAdamW": Entry("AdamWScheduleFree"),
        },
    ),
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
        return contestant.entries[work.name].differs
    if isinstance(contestant, InBFloat16):
        return "products in bfloat16"
    if isinstance(contestant, MatricesOnTensors) and work.name == "SOAP":
        return PYTORCH_OPTIMIZER["SOAP"].differs
    if isinstance(contestant, OptaxWhole):
        return OPTAX_DIFFERS.get(work.name, "")
    return "AdamW" if isinstance(contestant, Yardstick) else ""
