"""The options that every optimizer takes, as keywords and by default."""

from __future__ import annotations

from typing import Any, TypedDict

from gradstep.method.hyperparameters import Scalar


class SharedOptions(TypedDict, total=False):
    """The options of every optimizer; :class:`Optimizer` documents them."""

    decoupled_weight_decay: bool
    maximize: bool
    clip_norm: Scalar | None
    clip_tensor_norm: Scalar | None
    clip_adaptive: Scalar | None
    clip_adaptive_eps: Scalar
    clip_value: Scalar | None
    skip_nonfinite: bool
    l1: Scalar
    ema_decay: Scalar | None


SHARED_DEFAULTS: dict[str, Any] = {
    "weight_decay": 0.0,
    "decoupled_weight_decay": False,
    "maximize": False,
    "clip_norm": None,
    "clip_tensor_norm": None,
    "clip_adaptive": None,
    "clip_adaptive_eps": 1e-3,
    "clip_value": None,
    "skip_nonfinite": False,
    "l1": 0.0,
    "ema_decay": None,
}
