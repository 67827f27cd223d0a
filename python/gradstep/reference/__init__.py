"""The equations in plain NumPy: what the native kernels are checked against, bit for bit.

Also the backend where no compiler was found.
"""

from __future__ import annotations

# Importing a family registers its rules.
from gradstep.reference import (  # noqa: F401
    adafactor,
    adagrad,
    adam,
    adam_variants,
    adamax,
    around,
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
from gradstep.reference.measures import sum_of_squares
from gradstep.reference.rules import RULES
from gradstep.reference.table import ParamTable
from gradstep.reference.vectors import Vectors

__all__ = ["RULES", "ParamTable", "Vectors", "sum_of_squares"]
