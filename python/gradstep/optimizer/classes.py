"""The optimizers for NumPy: a front for each method. Their types stand in ``classes.pyi``."""

from __future__ import annotations

from gradstep.methods import (
    adafactor,
    adagrad,
    adam,
    adam_variants,
    adamax,
    asgd,
    belief,
    ftrl,
    layerwise,
    mixture,
    muon,
    normalized,
    prodigy,
    rmsprop,
    rprop,
    schedule_free,
    sgd,
    sign,
    soap,
    stabilized,
)
from gradstep.optimizer.front import Optimizer
from gradstep.optimizer.nesterov_point import NesterovPoint


class SGD(NesterovPoint):
    method = sgd.SGD()


class SignSGD(Optimizer):
    method = sign.SignSGD()


class Signum(SignSGD):
    method = sign.Signum()


class Lion(Optimizer):
    method = sign.Lion()


class ASGD(Optimizer):
    method = asgd.ASGD()


class Rprop(Optimizer):
    method = rprop.Rprop()


class Adagrad(Optimizer):
    method = adagrad.Adagrad()


class Adadelta(Optimizer):
    method = adagrad.Adadelta()


class RMSprop(NesterovPoint):
    method = rmsprop.RMSprop()


class FTRL(Optimizer):
    method = ftrl.FTRL()


class Adam(Optimizer):
    method = adam.Adam()


class AdamW(Adam):
    method = adam.AdamW()


class NAdam(Optimizer):
    method = adam_variants.NAdam()


class RAdam(Optimizer):
    method = adam_variants.RAdam()


class Adamax(Optimizer):
    method = adamax.Adamax()


class AdaBelief(Optimizer):
    method = belief.AdaBelief()


class Yogi(Optimizer):
    method = belief.Yogi()


class ADOPT(Optimizer):
    method = normalized.ADOPT()


class LaProp(Optimizer):
    method = normalized.LaProp()


class Adan(Optimizer):
    method = mixture.Adan()


class AdEMAMix(Optimizer):
    method = mixture.AdEMAMix()


class LAMB(Optimizer):
    method = layerwise.LAMB()


class LARS(Optimizer):
    method = layerwise.LARS()


class NovoGrad(Optimizer):
    method = layerwise.NovoGrad()


class StableAdamW(Optimizer):
    method = stabilized.StableAdamW()


class MARS(Optimizer):
    method = stabilized.MARS()


class Prodigy(Optimizer):
    method = prodigy.Prodigy()


class ScheduleFreeSGD(Optimizer):
    method = schedule_free.ScheduleFreeSGD()


class ScheduleFreeAdamW(Optimizer):
    method = schedule_free.ScheduleFreeAdamW()


class Adafactor(Optimizer):
    method = adafactor.Adafactor()


class Muon(Optimizer):
    method = muon.Muon()


class SOAP(Optimizer):
    method = soap.SOAP()
