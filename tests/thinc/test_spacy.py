"""spaCy: from a config, which names one of gradstep's optimizers in the place of Thinc's."""

from __future__ import annotations

from importlib.metadata import entry_points

import numpy as np
import pytest

pytest.importorskip("spacy", reason="spacy is not installed: pip install '.[spacy]'")

from tests.thinc.spacy_run import trained


def test_the_entry_points_are_installed() -> None:
    found = {point.name for point in entry_points(group="thinc_optimizers")}
    assert found >= {f"gradstep.{name}.v1" for name in ("Adam", "AdamW", "RAdam", "SGD")}


@pytest.mark.filterwarnings("ignore")  # spaCy's own
@pytest.mark.parametrize("name", ["Adam.v1", "RAdam.v1"])
def test_a_tagger_and_a_text_classifier_reach_the_same_scores(name: str) -> None:
    expected, known = trained(name)
    scores, printed = trained(f"gradstep.{name}")
    assert scores == pytest.approx(expected, abs=0.005)
    np.testing.assert_allclose(printed, known, rtol=0.02, atol=0.05)
    assert scores["tag_acc"] > 0.9
    assert known[-1][2:5] != known[1][2:5]
