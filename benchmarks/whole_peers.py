"""Libraries that have optimizers of whole tensors, each with what it calls them.

Nothing here imports gradstep: a process in which a peer trains has it not.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


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


@dataclass(frozen=True)
class Peer:
    """A library's optimizers, by gradstep's names, batched over tensors (`foreach`) where a class
    can be."""

    name: str
    module: str
    entries: Mapping[str, Entry]
    foreach: bool | None = True

    def make(self, optimizer: str, params: list[Any], **changed: Any) -> Any:
        """One over these parameters, about to train."""
        entry = self.entries[optimizer]
        cls = getattr(importlib.import_module(self.module), entry.cls)
        options = {**entry.options, **changed}
        if "foreach" in inspect.signature(cls).parameters:
            options.setdefault("foreach", self.foreach)
        opt = cls([{"params": params, **entry.group}], **options)
        if hasattr(opt, "train"):
            opt.train()
        return opt


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
SCHEDULEFREE = {
    "ScheduleFreeSGD": Entry("SGDScheduleFree"),
    "ScheduleFreeAdamW": Entry("AdamWScheduleFree"),
}
PEERS = (
    Peer("torch", "torch.optim", TORCH, foreach=None),
    Peer("torch foreach", "torch.optim", {"Adafactor": TORCH["Adafactor"]}),
    Peer("pytorch-optimizer", "pytorch_optimizer", PYTORCH_OPTIMIZER),
    Peer("torch-optimi", "optimi", {"StableAdamW": Entry("StableAdamW", {"lr": 1e-3})}),
    Peer("prodigyopt", "prodigyopt", {"Prodigy": Entry("Prodigy")}),
    Peer("schedulefree", "schedulefree", SCHEDULEFREE),
)
