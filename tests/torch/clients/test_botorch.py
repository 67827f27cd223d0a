"""BoTorch: it fits GPyTorch's models in float64; a bounded parameter gets new memory each step."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

from tests.torch.clients.training import (
    Class,
    Tensors,
    assert_stepped,
    assert_trains_alike,
    torch,
    values,
)

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated", DeprecationWarning)
    botorch = pytest.importorskip("botorch", reason="not installed: pip install '.[clients]'")
    gpytorch = pytest.importorskip("gpytorch", reason="not installed: pip install '.[clients]'")


def train(optimizer_class: Class) -> Tensors:
    x = torch.linspace(0, 1, 30, dtype=torch.float64)[:, None]
    model = botorch.models.SingleTaskGP(x, (6 * x).sin())
    likelihood = gpytorch.mlls.ExactMarginalLogLikelihood(model.likelihood, model)
    made = []

    def make(params: Any) -> torch.optim.Optimizer:
        made.append(optimizer_class(params, lr=0.1))
        return made[0]

    botorch.optim.fit.fit_gpytorch_mll_torch(
        likelihood,
        optimizer=make,
        step_limit=40,
        stopping_criterion=None,
        scheduler=lambda opt: torch.optim.lr_scheduler.StepLR(opt, 20),
    )
    assert_stepped(made[0], optimizer_class, 40)
    noise = model.likelihood.noise_covar
    assert noise.raw_noise == noise.raw_noise_constraint.lower_bound
    return values(model)


def test_trains_as_with_torch() -> None:
    assert_trains_alike(train, "Adam", atol=1e-13)
