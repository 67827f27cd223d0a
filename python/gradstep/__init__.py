"""gradstep: fused, bit-reproducible optimizer steps on the CPU.

The bits of Muon and SOAP depend on the installed BLAS too, which computes their directions:
docs/optimizers/matrices.md.

>>> import numpy as np
>>> import gradstep as gs
>>> params = {"W": np.ones((2, 2), np.float32), "b": np.zeros(2, np.float32)}
>>> opt = gs.SGD(params, lr=0.5)
>>> info = opt.step({"W": np.ones((2, 2), np.float32), "b": np.ones(2, np.float32)})
>>> params["b"]
array([-0.5, -0.5], dtype=float32)
"""

from gradstep import distributed, runtime, schedules
from gradstep.around.lookahead import Lookahead
from gradstep.around.sharpness import ASAM, SAM
from gradstep.closures.info import ClosureInfo
from gradstep.closures.lbfgs import LBFGS
from gradstep.closures.minimize import minimize
from gradstep.closures.result import MinimizeResult
from gradstep.loop.clipping import clip_grads, global_norm
from gradstep.loop.early_stopping import EarlyStopping
from gradstep.loop.gradient_sum import GradientSum
from gradstep.loop.loss_scaling import LossScaler
from gradstep.loop.minibatches import minibatches
from gradstep.optimizer.classes import (
    ADOPT,
    ASGD,
    FTRL,
    LAMB,
    LARS,
    MARS,
    SGD,
    SOAP,
    AdaBelief,
    Adadelta,
    Adafactor,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    Adan,
    AdEMAMix,
    LaProp,
    Lion,
    Muon,
    NAdam,
    NovoGrad,
    Prodigy,
    RAdam,
    RMSprop,
    Rprop,
    ScheduleFreeAdamW,
    ScheduleFreeSGD,
    SignSGD,
    Signum,
    StableAdamW,
    Yogi,
)
from gradstep.optimizer.front import Optimizer
from gradstep.optimizer.step_info import StepInfo
from gradstep.runtime import BackendWarning
from gradstep.saving.file import load, save
from gradstep.saving.torch_state import load_torch_state_dict, torch_state_dict

__version__ = "0.1.0"


def __dir__() -> list[str]:
    """What users need; the rooms that it comes from are private."""
    return __all__


__all__ = [
    "ADOPT",
    "ASAM",
    "ASGD",
    "FTRL",
    "LAMB",
    "LARS",
    "LBFGS",
    "MARS",
    "SAM",
    "SGD",
    "SOAP",
    "AdEMAMix",
    "AdaBelief",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Adan",
    "BackendWarning",
    "ClosureInfo",
    "EarlyStopping",
    "GradientSum",
    "LaProp",
    "Lion",
    "Lookahead",
    "LossScaler",
    "MinimizeResult",
    "Muon",
    "NAdam",
    "NovoGrad",
    "Optimizer",
    "Prodigy",
    "RAdam",
    "RMSprop",
    "Rprop",
    "ScheduleFreeAdamW",
    "ScheduleFreeSGD",
    "SignSGD",
    "Signum",
    "StableAdamW",
    "StepInfo",
    "Yogi",
    "__version__",
    "clip_grads",
    "distributed",
    "global_norm",
    "load",
    "load_torch_state_dict",
    "minibatches",
    "minimize",
    "runtime",
    "save",
    "schedules",
    "torch_state_dict",
]
