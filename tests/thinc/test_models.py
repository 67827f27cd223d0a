"""Models of Thinc, and what its registry and configs find."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.thinc.training import Array, thinc

ours = pytest.importorskip("gradstep.thinc")

NAMES = ("Adam", "AdamW", "RAdam", "SGD")
PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


def data() -> tuple[Array, Array]:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((256, 12)).astype("float32")
    return x, np.eye(3, dtype="float32")[np.argmax(x[:, :3] + x[:, 3:6], axis=1)]


def model() -> Any:
    thinc.fix_random_seed(0)
    x, y = data()
    return thinc.chain(thinc.Relu(16), thinc.LayerNorm(), thinc.Softmax()).initialize(x, y)


def trained(network: Any, optimizer: Any, epochs: int) -> list[float]:
    """The losses."""
    x, y = data()
    losses = []
    for _ in range(epochs):
        for i in range(0, len(x), 32):
            predicted, backward = network.begin_update(x[i : i + 32])
            losses.append(float(np.square(predicted - y[i : i + 32]).sum()))
            backward((predicted - y[i : i + 32]) / 32)
            network.finish_update(optimizer)
            optimizer.step_schedules()
    return losses


@pytest.mark.parametrize("name", ["Adam", "RAdam", "SGD"])
def test_a_model_trains_alike(name: str) -> None:
    theirs, mine = model(), model()
    for node, twin in zip(theirs.walk(), mine.walk(), strict=True):
        assert node.id != twin.id
    expected = getattr(thinc, name)(0.01)
    got = thinc.registry.optimizers.get(f"gradstep.{name}.v1")(0.01)
    losses = trained(theirs, expected, 20)
    np.testing.assert_allclose(trained(mine, got, 20), losses, rtol=1e-3)
    assert losses[-1] < losses[0]
    with theirs.use_params(expected.averages), mine.use_params(got.averages):
        np.testing.assert_allclose(mine.predict(data()[0]), theirs.predict(data()[0]), atol=1e-3)


def test_weights_that_were_loaded_are_trained_on() -> None:
    whole, interrupted = model(), model()
    expected, got = ours.Adam(0.01), ours.Adam(0.01)
    losses = trained(whole, expected, 2)
    first = trained(interrupted, got, 1)
    interrupted.from_bytes(interrupted.to_bytes())
    assert first + trained(interrupted, got, 1) == losses


def test_each_is_registered_as_its_own() -> None:
    for name in NAMES:
        found = thinc.registry.optimizers.get(f"gradstep.{name}.v1")
        assert found is getattr(ours, name)
        assert isinstance(found(0.1), ours.Optimizer)
        assert isinstance(found(0.1), thinc.Optimizer)


def test_the_project_declares_them_as_entry_points() -> None:
    table = re.search(
        r"\[project.entry-points.thinc_optimizers\]\n(.*?)\n\n", PYPROJECT.read_text(), re.S
    )
    assert table is not None
    assert table[1].splitlines() == [
        f'"gradstep.{name}.v1" = "gradstep.thinc:{name}"' for name in NAMES
    ]


CONFIG = """
[optimizer]
@optimizers = "gradstep.Adam.v1"
beta1 = 0.8
L2 = 0.02
L2_is_weight_decay = false
use_averages = false

[optimizer.learn_rate]
@schedules = "decaying.v1"
base_rate = 0.1
decay = 0.5
"""


def test_a_config_makes_one() -> None:
    config = thinc.Config().from_str(CONFIG)
    opt = thinc.registry.resolve(config)["optimizer"]
    alone = ours.Adam(
        thinc.decaying(0.1, 0.5), beta1=0.8, L2=0.02, L2_is_weight_decay=False, use_averages=False
    )
    mine, its = model(), model()
    assert trained(mine, opt, 1) == trained(its, alone, 1)


def test_a_config_is_checked() -> None:
    wrong = CONFIG.replace("use_averages = false", 'use_averages = "much"')
    config = thinc.Config().from_str(wrong)
    with pytest.raises(thinc.ConfigValidationError, match="use_averages"):
        thinc.registry.resolve(config)


def test_gradstep_does_not_import_thinc() -> None:
    says = "import gradstep, sys; raise SystemExit('thinc' in sys.modules)"
    subprocess.run([sys.executable, "-c", says], check=True)
