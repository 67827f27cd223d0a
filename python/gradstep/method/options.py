"""Options that many methods have, but not all."""

from __future__ import annotations

from gradstep.method.hyperparameters import Flag, Number

COUPLED_DECAY = Number(0.0, "Coupled (L2) unless ``decoupled_weight_decay=True``.")
DECOUPLED_DECAY = Number(0.0, "Decoupled unless ``decoupled_weight_decay=False``.")
DECOUPLED = Flag(True)

CAUTIOUS = Flag(
    False,
    "Leave out the elements of a step that do not move against their gradient, and scale the "
    "others up by size/(count + 1) within each tensor (Liang et al. 2024, arXiv:2411.16085). Needs "
    "momentum, and reads gradient and state once more.",
)
EPS_INSIDE_SQRT = Flag(False, "Add eps to the sum under the root, as Optax does, not to the root.")
