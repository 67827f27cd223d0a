"""The recipe for scikit-learn in docs/gradients-from-anywhere.md."""

from __future__ import annotations

import importlib
import pickle
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.test_docs import BLOCKS

pytest.importorskip("sklearn", reason="scikit-learn is not installed: pip install '.[examples]'")

from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import cross_validate
from sklearn.neural_network import MLPClassifier

pytestmark = pytest.mark.filterwarnings(
    f"ignore::{ConvergenceWarning.__module__}.ConvergenceWarning"
)

(RECIPE,) = (
    block
    for block in BLOCKS["docs/gradients-from-anywhere.md"]
    if "class SteppedMLPClassifier" in block
)
SGD = {
    "nesterov": {},
    "momentum": {"nesterovs_momentum": False},
    "plain": {"momentum": 0.0},
    "inverse scaling": {"learning_rate": "invscaling", "power_t": 0.1},
    "adaptive": {"learning_rate": "adaptive", "tol": 0.05, "n_iter_no_change": 1},
}


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """It as a module, which other processes can import, too."""
    folder = tmp_path_factory.mktemp("recipe")
    (folder / "stepped_mlp.py").write_text(RECIPE, "utf-8")
    sys.path.insert(0, str(folder))
    yield importlib.import_module("stepped_mlp")
    sys.path.remove(str(folder))


def data(dtype: str = "float64") -> tuple[NDArray[Any], NDArray[Any]]:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((300, 10)).astype(dtype)
    return x, np.argmax(x[:, :3] + 0.5 * x[:, 3:6], axis=1)


def fitted(cls: Any, dtype: str = "float64", **options: Any) -> Any:
    given = {"learning_rate_init": 0.05, "max_iter": 15, "random_state": 0, **options}
    return cls((20, 15), batch_size=50, **given).fit(*data(dtype))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("options", SGD.values(), ids=SGD)
def test_sgd_is_scikit_learns_in_every_bit(
    recipe: ModuleType, options: dict[str, Any], dtype: str
) -> None:
    own = fitted(MLPClassifier, dtype, solver="sgd", **options)
    ours = fitted(recipe.SteppedMLPClassifier, dtype, solver="sgd", **options)
    assert ours.loss_curve_ == own.loss_curve_
    assert ours.loss_curve_[-1] < ours.loss_curve_[0]
    for mine, theirs in zip(ours.coefs_, own.coefs_, strict=True):
        assert np.array_equal(mine, theirs)


def test_adam_has_scikit_learns_loss_curve(recipe: ModuleType) -> None:
    own = fitted(MLPClassifier, learning_rate_init=0.01)
    ours = fitted(recipe.SteppedMLPClassifier, learning_rate_init=0.01)
    np.testing.assert_allclose(ours.loss_curve_, own.loss_curve_, rtol=1e-9)
    assert ours.loss_curve_[-1] < 0.8 * ours.loss_curve_[0]


def test_it_can_be_pickled_and_goes_on(recipe: ModuleType) -> None:
    ours = fitted(recipe.SteppedMLPClassifier)
    other = pickle.loads(pickle.dumps(ours))
    for each in (ours, other):
        each.partial_fit(*data())
    assert other.loss_curve_ == ours.loss_curve_
    assert clone(ours).get_params() == ours.get_params()


def test_weights_that_were_replaced_are_noticed(recipe: ModuleType) -> None:
    ours = fitted(recipe.SteppedMLPClassifier)
    ours.coefs_ = [coef.copy() for coef in ours.coefs_]
    with pytest.raises(ValueError, match="not the array that the optimizer trains"):
        ours.partial_fit(*data())


def test_it_is_cross_validated_in_two_processes(recipe: ModuleType) -> None:
    options = {"learning_rate_init": 0.05, "max_iter": 15, "random_state": 0, "solver": "sgd"}
    scores = [
        cross_validate(cls((20,), **options), *data(), cv=2, n_jobs=2)["test_score"]
        for cls in (recipe.SteppedMLPClassifier, MLPClassifier)
    ]
    assert np.array_equal(*scores)
    assert scores[0].min() > 0.5
