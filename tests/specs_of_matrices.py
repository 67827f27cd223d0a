"""What the optimizers of matrices are. Their steps are under the contract given the direction.

Direction itself is BLAS' work, whose bits depend on the machine, on its version and on threads:
tests/directions says how near it is to its oracles.
"""

from __future__ import annotations

from typing import Any

import gradstep as gs
from tests.helpers import Array
from tests.spec import Spec, Variant

MATRIX_SPECS = (
    Spec(
        gs.Muon,
        (
            Variant("default", "muon"),
            Variant("plain", "muon", {"lr": 0.02, "nesterov": False, "momentum": 0.8}),
            Variant("rms", "muon", {"lr": 0.01, "adjust_lr_fn": "match_rms_adamw"}),
        ),
        "torch.Muon",
    ),
    Spec(
        gs.SOAP,
        (
            Variant("default", "soap"),
            Variant("often", "soap", {"lr": 0.01, "precondition_frequency": 1}),
            Variant("one_side", "soap", {"lr": 0.01, "max_precondition_dim": 35}),
        ),
        "pytorch_optimizer.SOAP",
    ),
)

CASES = [(spec, variant) for spec in MATRIX_SPECS for variant in spec.variants]
CASE_IDS = [f"{spec.cls.__name__}-{variant.name}" for spec, variant in CASES]


def made(cls: type[gs.Optimizer], params: dict[str, Array], options: dict[str, Any]) -> Any:
    """An optimizer of this class over parameters of all kinds."""
    rest: dict[str, Any] = {"optimizer": "adamw", "lr": 0.01}
    vectors = any(p.ndim < 2 for p in params.values())
    groups = [(lambda name, p: p.ndim < 2, rest)] if cls is gs.Muon and vectors else None
    return cls(params, groups=groups, **options)  # type: ignore[call-arg]
