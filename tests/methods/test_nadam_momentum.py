"""NAdam's products of momenta: as if multiplied one by one, but at a bounded cost."""

from __future__ import annotations

import math
import threading
import tracemalloc

import numpy as np
import pytest

import gradstep as gs
from gradstep.methods.adam_variants import first_products, momentum_at, momentum_product


@pytest.mark.parametrize("decay", [0.0, 4e-3, 0.1])
@pytest.mark.parametrize("beta1", [0.0, 0.5, 0.9, 0.999])
def test_what_a_step_makes_of_a_product_is_that_of_multiplying(beta1: float, decay: float) -> None:
    product = 1.0
    for t in range(1, 3000):
        product *= momentum_at(beta1, decay, t)
        following = momentum_at(beta1, decay, t + 1)
        ours = momentum_product(beta1, decay, t)
        assert 1.0 - ours == 1.0 - product
        assert 1.0 - ours * following == 1.0 - product * following


def test_a_momentum_that_has_risen_goes_on_as_a_power() -> None:
    for t in (900, 1000, 10_000):
        logs = math.fsum(math.log(momentum_at(0.9999, 1.0, i)) for i in range(1, t + 1))
        assert momentum_product(0.9999, 1.0, t) == pytest.approx(math.exp(logs), rel=1e-11)


def test_products_are_few() -> None:
    for beta1 in (0.0, 0.9, 0.9999, math.nextafter(1.0, 0.0)):
        for decay in (0.0, 5e-324, *np.geomspace(1e-6, 1e6, 121).tolist(), 1e308):
            assert len(first_products(beta1, decay)) < 2400
            assert 0.0 <= momentum_product(beta1, decay, 2**53) < 1.0


@pytest.mark.usefixtures("backend")
def test_a_step_after_millions_needs_no_memory_of_them() -> None:
    # Once in a while a table of the interpreter itself, such as that of its strings, grows by
    # megabytes in whatever runs just then: the products would take theirs every time.
    assert min(peak_of_a_late_step(decay) for decay in (0.8, 0.9, 1.0)) < 2**20


def peak_of_a_late_step(decay: float) -> int:
    opt = gs.NAdam(np.ones(2), betas=(0.999999, 0.999), momentum_decay=decay)
    state = opt.state_dict()
    state["steps"] = state["state"]["0"]["step"] = 3_000_000
    opt.load_state_dict(state)
    tracemalloc.start()
    try:
        opt.step(np.ones(2))
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_threads_get_the_same_products() -> None:
    decays = [0.3 + i / 1000 for i in range(100)]  # more than are kept
    found: list[list[float]] = []

    def work() -> None:
        found.append([momentum_product(0.99, decay, 2000) for decay in decays])

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert all(products == found[0] for products in found)
