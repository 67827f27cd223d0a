"""The optimizers for PyTorch: a front for each method, in the place of torch.optim's where it has
one of that name."""

from __future__ import annotations

from typing import Any

import torch

from gradstep.methods.muon import MuonAlone
from gradstep.optimizer import classes as numpy_front
from gradstep.torch.front import Optimizer


class SGD(Optimizer, torch.optim.SGD):
    method = numpy_front.SGD.method


class SignSGD(Optimizer):
    method = numpy_front.SignSGD.method


class Signum(SignSGD):
    method = numpy_front.Signum.method


class Lion(Optimizer):
    method = numpy_front.Lion.method


class ASGD(Optimizer, torch.optim.ASGD):
    method = numpy_front.ASGD.method


class Rprop(Optimizer, torch.optim.Rprop):
    method = numpy_front.Rprop.method


class Adagrad(Optimizer, torch.optim.Adagrad):
    method = numpy_front.Adagrad.method


class Adadelta(Optimizer, torch.optim.Adadelta):
    method = numpy_front.Adadelta.method


class RMSprop(Optimizer, torch.optim.RMSprop):
    method = numpy_front.RMSprop.method


class FTRL(Optimizer):
    method = numpy_front.FTRL.method


class Adam(Optimizer, torch.optim.Adam):
    method = numpy_front.Adam.method


class AdamW(Optimizer, torch.optim.AdamW):
    method = numpy_front.AdamW.method


class NAdam(Optimizer, torch.optim.NAdam):
    method = numpy_front.NAdam.method


class RAdam(Optimizer, torch.optim.RAdam):
    method = numpy_front.RAdam.method


class Adamax(Optimizer, torch.optim.Adamax):
    method = numpy_front.Adamax.method


class Muon(Optimizer, getattr(torch.optim, "Muon", torch.optim.Optimizer)):  # type: ignore[misc]
    method = MuonAlone()

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        if isinstance(param_group, dict) and "optimizer" in param_group:
            raise ValueError(
                f"optimizer={param_group['optimizer']!r} is for gradstep.Muon, over arrays: "
                "PyTorch's state of Muon counts no steps. Give parameters that are no matrices "
                "within the network to an optimizer of their own, gradstep.torch.AdamW"
            )
        super().add_param_group(param_group)


class SOAP(Optimizer):
    method = numpy_front.SOAP.method


class AdaBelief(Optimizer):
    method = numpy_front.AdaBelief.method


class Yogi(Optimizer):
    method = numpy_front.Yogi.method


class ADOPT(Optimizer):
    method = numpy_front.ADOPT.method


class LaProp(Optimizer):
    method = numpy_front.LaProp.method


class Adan(Optimizer):
    method = numpy_front.Adan.method


class AdEMAMix(Optimizer):
    method = numpy_front.AdEMAMix.method


class LAMB(Optimizer):
    method = numpy_front.LAMB.method


class LARS(Optimizer):
    method = numpy_front.LARS.method


class NovoGrad(Optimizer):
    method = numpy_front.NovoGrad.method


class StableAdamW(Optimizer):
    method = numpy_front.StableAdamW.method


class MARS(Optimizer):
    method = numpy_front.MARS.method


class Prodigy(Optimizer):
    method = numpy_front.Prodigy.method


class ScheduleFreeSGD(Optimizer):
    method = numpy_front.ScheduleFreeSGD.method


class ScheduleFreeAdamW(Optimizer):
    method = numpy_front.ScheduleFreeAdamW.method


class Adafactor(Optimizer, torch.optim.Adafactor):
    method = numpy_front.Adafactor.method
