"""What the studies and benchmarks of narrow storage run, in small."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ml_dtypes = pytest.importorskip("ml_dtypes", reason="ml_dtypes is not installed")

from benchmarks import narrow, stored  # noqa: E402
from benchmarks.report import report  # noqa: E402
from benchmarks.studies import eight_bits, narrow_training, small_models  # noqa: E402

import gradstep as gs  # noqa: E402
from tests.benchmarks.benchmark_results import results  # noqa: E402
from tests.spec import Spec  # noqa: E402
from tests.specs import SPECS  # noqa: E402

ROOT = Path(__file__).parents[2]

# Training.


def blobs() -> small_models.Data:
    rng = np.random.default_rng(0)
    centres, labels = rng.normal(size=(10, 32)), rng.integers(0, 10, 2000)
    inputs = 0.5 * centres[labels] + rng.normal(size=(2000, 32))
    return inputs.astype(np.float32), labels


BLOBS = small_models.Model("blobs", (32, 128, 64, 10), blobs, batch=64, steps=300)


def test_parameters_in_bfloat16_learn_as_in_float32_but_not_rounded_to_nearest() -> None:
    data, seeds = blobs(), range(5)

    def final(name: str, seed: int) -> float:
        way = narrow_training.WAYS[name]
        return list(narrow_training.train(BLOBS, data, way, seed, lr=2e-4))[-1]

    spread = [final(narrow_training.FLOAT32, seed) for seed in seeds]
    for name in ("bfloat16, split", "bfloat16, kahan", "bfloat16, stochastic"):
        assert min(spread) < np.mean([final(name, seed) for seed in seeds]) < max(spread), name
    assert min(final(narrow_training.NEAREST, seed) for seed in seeds) > 1.2 * max(spread)


def test_the_characters_are_those_of_a_text() -> None:
    inputs, labels = small_models.characters(100)
    assert inputs.shape == (100, small_models.CONTEXT * small_models.ALPHABET)
    assert (inputs.sum(axis=1) == small_models.CONTEXT).all()
    assert 10 < len(np.unique(labels)) <= small_models.ALPHABET


# Formats of 8 bits.


def test_the_dynamic_map_has_256_codes() -> None:
    for signed in (True, False):
        codes = eight_bits.dynamic_map(signed)
        assert len(np.unique(codes)) == 256
        assert codes.max() == 1
        assert codes.min() == (-codes[-2] if signed else 0)


@pytest.mark.parametrize("name", [name for name in eight_bits.schemes() if name != "float32"])
def test_schemes_give_back_what_they_can_hold(name: str) -> None:
    scheme = eight_bits.schemes()[name]
    values = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    moments, squares = scheme.moments(values), scheme.squares(values * values)
    assert 0 < np.linalg.norm(moments - values) / np.linalg.norm(values) < 0.05
    assert 0 < np.linalg.norm(squares - values**2) / np.linalg.norm(values**2) < 0.1
    assert not scheme.moments(np.zeros(300, np.float32)).any()
    assert not scheme.squares(np.zeros(300, np.float32)).any()


def test_drawn_squares_are_right_on_average() -> None:
    squares = np.random.default_rng(0).uniform(0.1, 1, 256).astype(np.float32)
    nearest, drawn = (eight_bits.e5m3(draws) for draws in (False, True))
    average = np.mean([drawn(squares) for _ in range(2000)], axis=0)
    # A step between codes is at most 1/8 of a value: 2,000 draws leave 1/16/√2000, 5 of which fit.
    np.testing.assert_allclose(average, squares, rtol=5 / 16 / 2000**0.5)
    assert np.abs(nearest(squares) / squares - 1).max() > 0.05


@pytest.mark.parametrize("source", [eight_bits.dithered(0), eight_bits.independent(0)])
@pytest.mark.parametrize("name", ["moments8", "squares8", "bfloat16 dithered"])
def test_what_is_drawn_as_gradstep_does_is_right_on_average(
    name: str, source: eight_bits.Source
) -> None:
    values = np.random.default_rng(0).uniform(0.1, 1, 256).astype(np.float32)
    drawn, nearest = eight_bits.ours(name, source), eight_bits.ours(name, eight_bits.nearest)
    average = np.mean([drawn(values) for _ in range(2000)], axis=0)
    # A step between codes is at most 1/16 of a value: 2,000 draws leave 1/32/√2000.
    np.testing.assert_allclose(average, values, rtol=5 / 32 / 2000**0.5)
    assert np.abs(nearest(values) / values - 1).max() > 0.003


def test_small_squares_beside_large_ones_become_zero_in_others_formats_only() -> None:
    squares = np.random.default_rng(0).permutation(np.logspace(-8, 0, 256, dtype=np.float32))
    found = {name: scheme.squares(squares) for name, scheme in eight_bits.schemes().items()}
    assert (found["companding"] == 0).any()
    assert (found["dynamic map"] == 0).any()
    assert (found["gradstep"] > 0).all()
    assert (found["squares E5M3"] > 0).all()


def test_errors_that_add_up_are_told_from_those_of_one_rounding() -> None:
    found = eight_bits.errors(replace(BLOBS, widths=(32, 256, 10)), blobs())
    once, kept, step_600 = 0, 1, 3
    assert found["float32"] == [0, 0, 1] * 2
    nearest, drawn = found["both to nearest"][step_600:], found["gradstep"][step_600:]
    assert nearest[kept] > 2 * nearest[once]
    assert abs(drawn[2] - 1) < abs(nearest[2] - 1) / 2


# Bytes and steps.


@pytest.mark.parametrize(
    ("cls", "options", "dtype", "expected"),
    [
        (gs.AdamW, {}, "float32", 12),
        (gs.AdamW, {}, "float64", 24),
        (gs.AdamW, {"state_dtype": "bfloat16"}, "bfloat16", 6),
        (gs.AdamW, {"state_dtype": "8bit"}, "float32", 6 + 2 * 4 / 256),
        (gs.AdamW, {"rounding": "split"}, "bfloat16", 12),
        (gs.AdamW, {"ema_decay": 0.9}, "float32", 16),
        (gs.SGD, {"lr": 0.1}, "float32", 4),
    ],
)
def test_bytes_per_parameter(
    cls: type[gs.Optimizer], options: dict[str, Any], dtype: str, expected: float
) -> None:
    assert stored.bytes_per_parameter(cls, options, dtype) == expected


@pytest.mark.parametrize("optimizer", narrow.FIELDS)
def test_those_who_step_on_few_bits(optimizer: str) -> None:
    for name, entry in narrow.FIELDS[optimizer].items():
        if name.startswith("gradstep"):
            step, held = entry.start(8192)
            step()
            assert held / 8192 <= entry.bytes_moved, name


def test_the_report_has_steps_on_few_bits() -> None:
    info = {
        "optimizer": "AdamW",
        "elements": 1000,
        "threads": 2,
        "isa": "avx2",
        "bytes_moved": {"gradstep, float32": 28, "torch": 14},
        "bytes_per_parameter": {"gradstep, float32": 12.0, "torch": 6.0},
        "median_us": {"gradstep, float32": 1000.0, "torch": 2000.0},
        "ratio": {"gradstep, float32": 1.0, "torch": 2.0},
        "ratio_quartiles": {"gradstep, float32": [1.0, 1.0], "torch": [1.6, 2.5]},
        "left_out": {"torchao": "it is not installed"},
    }
    text = report(results({"name": "test_narrow[AdamW]", "extra_info": info}))
    assert "| torch | 6 | 14 | 2 | 0.50 ± 0.11 |" in text
    assert "| gradstep, float32 | 12 | 28 | 1 | 1.00 ± 0.00 |" in text
    assert "- torchao: it is not installed" in text


STORED = {
    "float32": ("float32", {}),
    "float32, state 8bit": ("float32", {"state_dtype": "8bit"}),
    "all bfloat16": ("bfloat16", {"state_dtype": "bfloat16"}),
}


def counted(spec: Spec, dtype: str, storage: dict[str, Any]) -> str:
    """Bytes per parameter of all variants that can be stored so."""
    found = set()
    for variant in spec.variants:
        with contextlib.suppress(ValueError):
            options = {**variant.options, **storage}
            found.add(stored.bytes_per_parameter(spec.cls, options, dtype))
    return ", ".join(f"{n:.4g}" for n in sorted(found)) or "refused"


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.cls.__name__)
def test_documents_have_the_bytes_that_are_counted(spec: Spec) -> None:
    lines = (ROOT / "docs/optimizers/README.md").read_text("utf-8").splitlines()
    (row,) = (line for line in lines if line.startswith(f"| `{spec.cls.__name__}` |"))
    assert row.split(" | ")[3:6] == [counted(spec, *of_one) for of_one in STORED.values()]
