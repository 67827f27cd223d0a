"""The equations in plain NumPy: what the native kernels are checked against, bit for bit.

Also the backend where no compiler was found.
"""

from __future__ import annotations

from gradstep.reference import (
    adagrad,
    adam,
    adam_variants,
    adamax,
    asgd,
    belief,
    ftrl,
    mixture,
    normalized,
    rmsprop,
    rprop,
    sgd,
    sign,
)
from gradstep.reference.norms import sum_of_squares
from gradstep.reference.rules import RULES
from gradstep.reference.table import ParamTable

# Importing a family registers its rules.
FAMILIES = (
    sgd, sign, asgd, rprop, adagrad, rmsprop, ftrl,
    adam, adam_variants, adamax, belief, normalized, mixture,
)  # fmt: skip

__all__ = ["RULES", "ParamTable", "sum_of_squares"]
