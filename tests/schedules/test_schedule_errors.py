"""Parameters that no schedule can have are refused by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gradstep import schedules as s

BAD: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "steps": (lambda: s.linear_warmup(0), ValueError, "steps must be an integer ≥ 1, got 0"),
    "float steps": (lambda: s.linear(1.5), TypeError, "steps must be an integer"),  # type: ignore[arg-type]
    "nan": (lambda: s.constant(float("nan")), ValueError, "value must be a finite number, got nan"),
    "text": (lambda: s.exponential("x"), TypeError, "factor must be a finite number"),  # type: ignore[arg-type]
    "decay": (lambda: s.debiased_ema(1.0), ValueError, r"decay must be .* in \[0, 1\), got 1.0"),
    "offset": (lambda: s.ema_warmup(0.9, 0.5), ValueError, "offset must be a finite number ≥ 1"),
    "every": (lambda: s.equal_average(0, 0), ValueError, "every must be an integer ≥ 1, got 0"),
    "start": (
        lambda: s.exponential_warmup(3, 0.0),
        ValueError,
        "start must be a finite number > 0",
    ),
    "order": (lambda: s.multistep([3, 3]), ValueError, r"milestones must ascend, got \[3, 3\]"),
    "join": (lambda: s.join([s.constant(1.0)], [1]), ValueError, "at must have one step fewer"),
    "pieces": (lambda: s.piecewise([1], [1.0]), ValueError, "values must be one more than"),
    "mode": (lambda: s.cyclic(3, mode="x"), ValueError, "mode must be one of"),  # type: ignore[arg-type]
    "rise": (lambda: s.one_cycle(9, rise=1.0), ValueError, r"rise must be a number in \(0, 1\)"),
    "limits": (lambda: s.constant(1.0).clamp(2.0, 1.0), ValueError, "low must not exceed high"),
    "join numbers": (
        lambda: s.join([1.0, 2.0], at=[3]),  # type: ignore[list-item]
        TypeError,
        r"each of schedules must be .*, got 1\.0; a number that stays is schedules\.constant",
    ),
    "no list": (lambda: s.join(1.0, at=[3]), TypeError, "schedules must be a sequence"),  # type: ignore[arg-type]
    "milestones": (lambda: s.multistep(3), TypeError, "milestones must be a sequence of int"),  # type: ignore[arg-type]
    "text limit": (lambda: s.constant(1.0).clamp("a"), TypeError, "low must be a number"),  # type: ignore[arg-type]
    "nan limit": (lambda: s.linear(3).clamp(high=np.nan), TypeError, "high must be a number"),
    "flag": (lambda: s.constant(True), TypeError, "value must be a finite number, got True"),
    "complex": (lambda: s.constant(1j), TypeError, "value must be a finite number, got 1j"),  # type: ignore[arg-type]
    "huge": (lambda: s.constant(10**400), ValueError, "value must be a finite number"),
    "numpy flag": (lambda: s.linear(np.True_), TypeError, "steps must be an integer ≥ 1"),  # type: ignore[arg-type]
    "numpy float": (lambda: s.linear(np.float64(2)), TypeError, "steps must be an integer ≥ 1"),  # type: ignore[arg-type]
    "lowest": (
        lambda: s.ReduceLROnPlateau(1e-4, min_value=1e-3),
        ValueError,
        r"min_value must not exceed value, which is 0\.0001, got 0\.001",
    ),
    "array": (lambda: np.ones(2) * s.constant(1.0), TypeError, "the factor of a schedule"),  # type: ignore[operator]
    "scale": (lambda: s.constant(1.0) * float("inf"), ValueError, "the factor of a schedule"),
    "plateau": (lambda: s.ReduceLROnPlateau(0.1, factor=1.0), ValueError, "factor must be"),
    "metric": (lambda: s.ReduceLROnPlateau(0.1).update("0.5"), TypeError, "metric must be"),  # type: ignore[arg-type,func-returns-value]
}


@pytest.mark.parametrize("case", BAD)
def test_bad_parameters(case: str) -> None:
    make, error, text = BAD[case]
    with pytest.raises(error, match=text):
        make()
