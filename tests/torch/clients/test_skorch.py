"""skorch: it makes, steps, pickles and copies the optimizer."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from tests.torch.clients.training import (
    Class,
    Tensors,
    assert_equal,
    assert_stepped,
    assert_trains_alike,
    examples,
    network,
    ours,
    torch,
    values,
)

skorch = pytest.importorskip("skorch", reason="not installed: pip install '.[clients]'")

STEPS = 12  # in an epoch


def classifier(optimizer_class: Class, epochs: int = 3) -> Any:
    return skorch.NeuralNetClassifier(
        network,
        criterion=torch.nn.CrossEntropyLoss,
        optimizer=optimizer_class,
        optimizer__momentum=0.9,
        optimizer__weight_decay=1e-3,
        lr=0.05,
        batch_size=8,
        max_epochs=epochs,
        train_split=None,
        callbacks=[skorch.callbacks.LRScheduler("ExponentialLR", gamma=0.9)],
        verbose=0,
    )


def fit(optimizer_class: Class) -> Tensors:
    net = classifier(optimizer_class).fit(*examples())
    assert_stepped(net.optimizer_, optimizer_class, 3 * STEPS)
    return values(net.module_)


def test_trains_as_with_torch() -> None:
    assert_trains_alike(fit, "SGD")


def test_a_pickled_net_goes_on(tmp_path: Path) -> None:
    net = classifier(ours.SGD, epochs=2).fit(*examples())
    net = pickle.loads(pickle.dumps(net)).partial_fit(*examples(), epochs=1)
    assert_stepped(net.optimizer_, ours.SGD, 3 * STEPS)
    assert_equal(values(net.module_), fit(ours.SGD))
