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
from gradstep.optimizers.adam import Adam, AdamW
from gradstep.optimizers.base import Optimizer, StepInfo
from gradstep.optimizers.sgd import SGD
from gradstep.runtime import BackendWarning

__version__ = "0.1.0"

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "BackendWarning",
    "Optimizer",
    "StepInfo",
    "__version__",
    "runtime",
    "schedules",
]
