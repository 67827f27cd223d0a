"""Steps of the NumPy backend that are interrupted, or fail, between their runs of elements."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from gradstep.reference import places, update
from tests.helpers import Array

pytestmark = pytest.mark.usefixtures("backend")


def test_a_second_interrupt_does_not_leave_half_a_step_either(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if backend == "native":
        pytest.skip("its steps are not interrupted")
    filled, calls = places.filled, Counter[str]()

    def interrupting(array: Array, values: Array) -> Any:
        calls["filled"] += 1
        if calls["filled"] in (3, 4, 6):
            raise KeyboardInterrupt
        return filled(array, values)

    monkeypatch.setattr(places, "filled", interrupting)
    w = np.zeros(5 * update.RUN)
    opt = gs.SGD(w, lr=1.0)
    with pytest.raises(KeyboardInterrupt):
        opt.step(np.ones(w.size))
    assert calls["filled"] == 8
    assert opt.steps == 1
    np.testing.assert_array_equal(w, -1.0)


def test_what_fails_again_and_again_is_not_tried_for_ever(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if backend == "native":
        pytest.skip("its steps cannot fail")

    def failing(array: Array, values: Array) -> Any:
        raise MemoryError

    opt = gs.SGD(np.zeros(3), lr=1.0)
    monkeypatch.setattr(places, "filled", failing)
    with pytest.raises(MemoryError):
        opt.step(np.ones(3))
    assert opt.steps == 0
