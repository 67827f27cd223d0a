"""The options of :class:`Sharded` itself."""

from __future__ import annotations

from typing import Any

from gradstep.optimizer.front import Optimizer
from gradstep.values import check_count, check_flag


def check_options(optimizer: Any, average: Any, wire: Any, check_params_every: Any) -> None:
    if not (isinstance(optimizer, type) and issubclass(optimizer, Optimizer)):
        raise TypeError(
            f"optimizer must be a class of gradstep's, like gs.AdamW, and its options come by "
            f"name, after params and comm; got {optimizer!r}"
        )
    check_flag("average", average)
    if wire not in (None, "bfloat16"):
        raise ValueError(f"wire must be None or 'bfloat16', got {wire!r}")
    if check_params_every is not None:
        check_count("check_params_every", check_params_every)
