"""The equations in plain NumPy: what the native kernels are checked against, bit for bit.

Also the backend where no compiler was found.
"""

from __future__ import annotations

# Importing a family registers its rules.
from gradstep.reference import (  # noqa: F401
    adagrad,
    adam,
    adam_variants,
    adamax,
    asgd,
    belief,
    ftrl,
    mixture,
    muon,
    normalized,
    rmsprop,
    rprop,
    sgd,
    sign,
    soap,
)
from gradstep.reference.measures import sum_of_squares
from gradstep.reference.rules import RULES
from gradstep.reference.table import ParamTable

__all__ = ["RULES", "ParamTable", "sum_of_squares"]
