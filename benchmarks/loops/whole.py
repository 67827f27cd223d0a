"""The same perceptrons, trained with what depends on whole tensors, with wrappers and L-BFGS.

A kind for each optimizer, on PyTorch's tensors beside other libraries' and on NumPy's arrays, where
nobody else has them. All step alike: with the same learning rate, else with defaults.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmarks.loops.loop import LR, MEASURED, NO_OPTIMIZER, Array, Kind, Loop, Running
from benchmarks.loops.numpy_mlp import NumpyMLP, Update
from benchmarks.loops.ours import apply_setting, installed
from benchmarks.loops.torch_mlp import TorchMLP
from benchmarks.whole_peers import PEERS, Entry, Peer

OPTIMIZERS = (
    *("LAMB", "LARS", "NovoGrad", "StableAdamW", "MARS", "Prodigy", "Adafactor"),
    *("ScheduleFreeSGD", "ScheduleFreeAdamW", "Lookahead", "SAM", "Muon", "SOAP", "LBFGS"),
)
WRAPPERS = ("Lookahead", "SAM")  # around AdamW; others' around PyTorch's fused one
EVALUATIONS = {"SAM": 2, "LBFGS": 4}  # of a step that takes a closure
RATES = {"LARS": 0.1, "NovoGrad": 0.01, "Prodigy": 1.0, "ScheduleFreeSGD": 0.1, "LBFGS": 0.1}
RATES["Adafactor"] = 0.01  # pytorch-optimizer's has no other
LBFGS = {"max_iter": EVALUATIONS["LBFGS"], "history_size": 10}  # for batches that change
SOAP_PERIOD = 10  # steps that are timed as one, for every tenth has decompositions
# What shows in training, where gradients are tiny, and not in single steps.
ONLY_IN_LOOPS = {("Adafactor", "pytorch-optimizer"): "ε1 is 1e-30, and added to squares"}
OF_WRAPPERS = Peer("pytorch-optimizer", "pytorch_optimizer", dict.fromkeys(WRAPPERS, Entry("")))
FIELD = (*PEERS, Peer("torch", "torch.optim", {"LBFGS": Entry("LBFGS")}), OF_WRAPPERS)

Evaluate = Callable[[], Any]


def options(optimizer: str) -> dict[str, Any]:
    """What is not a default, in everybody's words."""
    more: dict[str, dict[str, Any]] = {"LBFGS": LBFGS, "SOAP": {"weight_decay": 0.0}}
    return {"lr": RATES.get(optimizer, LR), **more.get(optimizer, {})}


def peers(optimizer: str) -> dict[str, Peer]:
    return {peer.name: peer for peer in FIELD if optimizer in peer.entries}


def ours(front: Any, optimizer: str, params: list[Any], **more: Any) -> Any:
    """`front` is gradstep or gradstep.torch."""
    cls = getattr(front, optimizer)
    if optimizer in WRAPPERS:
        return cls(front.AdamW(params, lr=LR))
    return cls(params, **options(optimizer), **more)


def theirs(peer: Peer, optimizer: str, params: list[Any]) -> Any:
    if optimizer not in WRAPPERS:
        return peer.make(optimizer, params, **options(optimizer))
    from torch.optim import AdamW

    cls = getattr(importlib.import_module(peer.module), optimizer)
    if optimizer == "Lookahead":
        return cls(AdamW(params, lr=LR, fused=True))
    sam = cls(params, AdamW, lr=LR, fused=True)

    def step(evaluate: Evaluate) -> Any:
        loss = evaluate()  # which its callers do
        sam.step(evaluate)
        return loss

    return SimpleNamespace(step=step, zero_grad=sam.zero_grad)


def repeated(evaluate: Evaluate, count: int) -> Any:
    """The first loss of so many evaluations."""
    first, *_ = [evaluate() for _ in range(count)]
    return first


def in_periods(optimizer: str, running: Running) -> Running:
    """SOAP's steps ten at a time."""
    if optimizer != "SOAP":
        return running

    def steps() -> None:
        for _ in range(SOAP_PERIOD):
            running.step()

    return Running(steps, running.loss)


def describe(kind: Kind, optimizer: str, library: str) -> None:
    """What kinds of one optimizer have in common."""
    kind.name = f"{library} {optimizer}"
    kind.imports_first = False
    kind.ours = (MEASURED,)
    kind.checked = 6  # Lookahead's slow weights have been met
    if optimizer == "SOAP":
        kind.unit, kind.checked = f"{SOAP_PERIOD} training steps", 1


class WholeTorch(TorchMLP):
    """On PyTorch's tensors, beside other libraries' optimizers."""

    def __init__(self, optimizer: str) -> None:
        describe(self, optimizer, "torch")
        self.of, self.peers = optimizer, peers(optimizer)
        self.others = (NO_OPTIMIZER, *self.peers)
        self.peer = self.pinned = self.others[1]
        found = {
            name: peer.entries[optimizer].differs or ONLY_IN_LOOPS.get((optimizer, name), "")
            for name, peer in self.peers.items()
        }
        self.differs = {name: how for name, how in found.items() if how}

    def optimizer(self, model: Any, contestant: str, wheel: Path | None, gradstep: Any) -> Any:
        if contestant == NO_OPTIMIZER:
            return SimpleNamespace(
                step=lambda evaluate=None: evaluate and repeated(evaluate, EVALUATIONS[self.of]),
                zero_grad=model.zero_grad,
            )
        front: Any = importlib.import_module("torch.optim")
        setting = None
        if contestant not in self.peers:
            setting = apply_setting(installed(contestant, wheel), contestant)
            front = importlib.import_module("gradstep.torch")
        params = list(model.parameters())
        if self.of == "Muon":
            params, vectors = ([p for p in params if (p.ndim > 1) is big] for big in (True, False))
        if contestant in self.peers:
            opt = theirs(self.peers[contestant], self.of, params)
        else:
            opt = ours(front, self.of, params)
        if self.of != "Muon":
            opt.setting = setting
            return opt
        beside = front.AdamW(vectors, lr=LR)
        return SimpleNamespace(
            step=lambda _kept=setting: (opt.step(), beside.step()), zero_grad=model.zero_grad
        )

    def take(self, opt: Any, evaluate: Evaluate) -> Any:
        return opt.step(evaluate) if self.of in EVALUATIONS else super().take(opt, evaluate)

    def start(self, loop: Loop, contestant: str, wheel: Path | None = None) -> Running:
        return in_periods(self.of, super().start(loop, contestant, wheel))


class WholeNumpy(NumpyMLP):
    """On NumPy's arrays: what the optimizer's share is."""

    others = (NO_OPTIMIZER,)
    peer = pinned = NO_OPTIMIZER

    def __init__(self, optimizer: str) -> None:
        describe(self, optimizer, "NumPy")
        self.of = optimizer

    def update(self, params: list[Array], contestant: str, wheel: Path | None) -> Update:
        """Takes gradients, or a closure."""
        if contestant == NO_OPTIMIZER:
            if self.of in EVALUATIONS:
                return lambda evaluate: SimpleNamespace(
                    loss=repeated(evaluate, EVALUATIONS[self.of])[0]
                )
            return len
        gradstep = installed(contestant, wheel)
        setting = apply_setting(gradstep, contestant)
        more: dict[str, Any] = {}
        if self.of == "Muon":
            rest = {"optimizer": "adamw", "lr": LR, "weight_decay": 0.01}
            more["groups"] = [(lambda name, p: p.ndim < 2, rest)]
        opt = ours(gradstep, self.of, params, **more)
        return lambda given, _kept=setting: opt.step(given)

    def take(self, update: Update, evaluate: Evaluate) -> float:
        if self.of in EVALUATIONS:
            return float(update(evaluate).loss)
        return super().take(update, evaluate)

    def start(self, loop: Loop, contestant: str, wheel: Path | None = None) -> Running:
        return in_periods(self.of, super().start(loop, contestant, wheel))


WHOLE: tuple[Kind, ...] = tuple(
    kind(name) for name in OPTIMIZERS for kind in (WholeTorch, WholeNumpy)
)
