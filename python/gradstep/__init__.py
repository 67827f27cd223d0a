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
from gradstep.accumulation import GradientSum
from gradstep.clipping import clip_grads, global_norm
from gradstep.data import minibatches
from gradstep.early_stopping import EarlyStopping
from gradstep.loss_scaling import LossScaler
from gradstep.optimizers.adagrad import Adadelta, Adagrad
from gradstep.optimizers.adam import Adam, AdamW
from gradstep.optimizers.adam_variants import NAdam, RAdam
from gradstep.optimizers.adamax import Adamax
from gradstep.optimizers.asgd import ASGD
from gradstep.optimizers.base import Optimizer
from gradstep.optimizers.belief import AdaBelief, Yogi
from gradstep.optimizers.ftrl import FTRL
from gradstep.optimizers.mixture import Adan, AdEMAMix
from gradstep.optimizers.normalized import ADOPT, LaProp
from gradstep.optimizers.rmsprop import RMSprop
from gradstep.optimizers.rprop import Rprop
from gradstep.optimizers.sgd import SGD
from gradstep.optimizers.sign import Lion, SignSGD, Signum
from gradstep.optimizers.step_info import StepInfo
from gradstep.runtime import BackendWarning

__version__ = "0.1.0"

__all__ = [
    "ADOPT",
    "ASGD",
    "FTRL",
    "SGD",
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
    "minibatches",
    "runtime",
    "schedules",
]
