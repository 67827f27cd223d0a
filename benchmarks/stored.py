"""Bytes that an optimizer holds for a parameter, counted in its arrays.

``python -m benchmarks.stored``
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

import gradstep as gs

Array = np.ndarray[Any, Any]

SHAPE = (256, 256)
BFLOAT16: Mapping[str, Any] = {"state_dtype": "bfloat16"}
COMBINATIONS: dict[str, tuple[str, Mapping[str, Any]]] = {
    "float32": ("float32", {}),
    "float32, state bfloat16": ("float32", BFLOAT16),
    "float32, state 8bit": ("float32", {"state_dtype": "8bit"}),
    "bfloat16 split": ("bfloat16", {"rounding": "split"}),
    "bfloat16 split, state bfloat16": ("bfloat16", {"rounding": "split", **BFLOAT16}),
    "bfloat16 split, state 8bit": ("bfloat16", {"rounding": "split", "state_dtype": "8bit"}),
    "bfloat16 kahan, state bfloat16": ("bfloat16", {"rounding": "kahan", **BFLOAT16}),
    "bfloat16 stochastic": ("bfloat16", {"rounding": "stochastic"}),
    "bfloat16 stochastic, state bfloat16": ("bfloat16", {"rounding": "stochastic", **BFLOAT16}),
    "bfloat16 stochastic, state 8bit": (
        "bfloat16",
        {"rounding": "stochastic", "state_dtype": "8bit"},
    ),
}
EVERYDAY: dict[str, tuple[type[gs.Optimizer], dict[str, Any]]] = {
    "SGD": (gs.SGD, {"lr": 0.1}),
    "SGD, momentum": (gs.SGD, {"lr": 0.1, "momentum": 0.9}),
    "Lion": (gs.Lion, {}),
    "AdamW": (gs.AdamW, {}),
    "AdamW, amsgrad": (gs.AdamW, {"amsgrad": True}),
    "AdamW, ema_decay": (gs.AdamW, {"ema_decay": 0.999}),
}


def dtype_of(name: str) -> Any:
    if name != "bfloat16":
        return np.dtype(name)
    import ml_dtypes

    return np.dtype(ml_dtypes.bfloat16)


def held(opt: gs.Optimizer, params: Iterable[Array]) -> int:
    """Bytes of the parameters, their state, what lies beside, and averages."""
    arrays = [*params, *(array for of_one in opt.state.values() for array in of_one.values())]
    arrays += opt.ema.values()
    return sum(array.nbytes for array in arrays)


def bytes_per_parameter(
    cls: type[gs.Optimizer], options: Mapping[str, Any], dtype: str = "float32"
) -> float:
    """Counted in the arrays of a matrix of 256 × 256."""
    param = np.zeros(SHAPE, dtype_of(dtype))
    return held(cls([param], **options), [param]) / param.size


def main() -> None:
    print("| parameters | " + " | ".join(EVERYDAY) + " |")
    print("|" + "---|" * (1 + len(EVERYDAY)))
    for name, (dtype, storage) in COMBINATIONS.items():
        cells = [
            f"{bytes_per_parameter(cls, {**options, **storage}, dtype):.4g}"
            for cls, options in EVERYDAY.values()
        ]
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
