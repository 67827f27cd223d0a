"""gradstep's optimizers for PyTorch, in the place of torch.optim's.

>>> import torch
>>> from gradstep.torch import AdamW
>>> model = torch.nn.Linear(2, 1)
>>> opt = AdamW(model.parameters(), lr=1e-3, weight_decay=0.01, clip_norm=1.0)
>>> model(torch.ones(4, 2)).square().mean().backward()
>>> opt.step()
>>> sorted(opt.state[model.weight])
['exp_avg', 'exp_avg_sq', 'step']
"""

try:
    import torch as _torch  # noqa: F401
except ModuleNotFoundError:
    raise ModuleNotFoundError(
        'gradstep.torch needs PyTorch: pip install "gradstep[torch]"', name="torch"
    ) from None

from gradstep.torch.classes import (
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
from gradstep.torch.front import Optimizer
from gradstep.torch.in_backward import step_in_backward
from gradstep.torch.lbfgs import LBFGS
from gradstep.torch.lists import accumulate, adamw_step, global_norm
from gradstep.torch.lookahead import Lookahead
from gradstep.torch.sharpness import ASAM, SAM

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
    "LaProp",
    "Lion",
    "Lookahead",
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
    "Yogi",
    "accumulate",
    "adamw_step",
    "global_norm",
    "step_in_backward",
]


def __dir__() -> list[str]:
    """What users need; the modules that it comes from are private."""
    return __all__
