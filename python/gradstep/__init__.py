"""gradstep: fused, bit-reproducible optimizer steps on the CPU.

>>> import numpy as np
>>> import gradstep as gs
>>> params = {"W": np.ones((2, 2), np.float32), "b": np.zeros(2, np.float32)}
>>> opt = gs.SGD(params, lr=0.5)
>>> info = opt.step({"W": np.ones((2, 2), np.float32), "b": np.ones(2, np.float32)})
>>> params["b"]
array([-0.5, -0.5], dtype=float32)
"""

from gradstep import runtime, schedules
from gradstep.loop.clipping import clip_grads, global_norm
from gradstep.loop.early_stopping import EarlyStopping
from gradstep.loop.gradient_sum import GradientSum
from gradstep.loop.loss_scaling import LossScaler
from gradstep.loop.minibatches import minibatches
from gradstep.optimizer.classes import (
    ADOPT,
    ASGD,
    FTRL,
    SGD,
    SOAP,
    AdaBelief,
    Adadelta,
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
    RAdam,
    RMSprop,
    Rprop,
    SignSGD,
    Signum,
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
    "ASGD",
    "FTRL",
    "SGD",
    "SOAP",
    "AdEMAMix",
    "AdaBelief",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Adan",
    "BackendWarning",
    "EarlyStopping",
    "GradientSum",
    "LaProp",
    "Lion",
    "LossScaler",
    "Muon",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "Rprop",
    "SignSGD",
    "Signum",
    "StepInfo",
    "Yogi",
    "__version__",
    "clip_grads",
    "global_norm",
    "load",
    "load_torch_state_dict",
    "minibatches",
    "runtime",
    "save",
    "schedules",
    "torch_state_dict",
]
