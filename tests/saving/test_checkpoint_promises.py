"""What a loop wants of a checkpoint beside its optimizer, and what a load must not do silently."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from tests.helpers import Array, assert_same_bits, everything

pytest.importorskip("safetensors", reason="pip install '.[checkpoint]'")


def ones() -> dict[str, Array]:
    return {"w": np.ones(3), "b": np.ones(2)}


def stepped(cls: type[gs.Optimizer] = gs.AdamW, **options: Any) -> gs.Optimizer:
    opt = cls(ones(), **options)
    opt.step(ones())
    return opt


class TestHyperparameters:
    def test_those_of_the_file_win_with_a_warning(self, tmp_path: Path) -> None:
        opt = stepped(lr=0.1)
        opt.lr = 0.05  # as a plateau does
        gs.save(tmp_path / "run", opt)
        other = gs.AdamW(ones(), lr=0.2, weight_decay=0.5, clip_norm=1.0)
        text = (
            r"run has lr = 0\.05 in the place of 0\.2, weight_decay = 0\.01 in the place of 0\.5, "
            r"clip_norm = None in the place of 1\.0; load\(\.\.\., hyperparameters=False\) keeps"
        )
        with pytest.warns(UserWarning, match=text) as caught:
            gs.load(tmp_path / "run", other)
        assert caught[0].filename == __file__
        assert (other.lr, other.weight_decay, other.clip_norm) == (0.05, 0.01, None)

    def test_no_warning_where_the_constructors_say_the_same(self, tmp_path: Path) -> None:
        opt = stepped(lr=0.1, betas=(0.8, 0.9))
        opt.lr = 0.05
        gs.save(tmp_path / "run", opt)
        for lr in (0.1, 0.05, lambda step: 0.3):  # as constructed, as in the file, a schedule
            gs.load(tmp_path / "run", gs.AdamW(ones(), lr=lr, betas=(0.8, 0.9)))

    def test_a_later_save_remembers_what_was_constructed_first(self, tmp_path: Path) -> None:
        gs.save(tmp_path / "run", stepped(lr=0.1))
        second = gs.AdamW(ones(), lr=0.2)
        with pytest.warns(UserWarning, match=r"lr = 0\.1 in the place of 0\.2"):
            gs.load(tmp_path / "run", second)
        gs.save(tmp_path / "run", second)
        gs.load(tmp_path / "run", gs.AdamW(ones(), lr=0.1))
        with pytest.warns(UserWarning, match=r"lr = 0\.1 in the place of 0\.2"):
            gs.load(tmp_path / "run", gs.AdamW(ones(), lr=0.2))

    def test_a_warning_that_is_an_error_changes_nothing(self, tmp_path: Path) -> None:
        saved, scaler = stepped(lr=0.1), gs.LossScaler(2.0)
        gs.save(tmp_path / "run", saved, scaler=scaler)
        opt, scaler = gs.AdamW(ones(), lr=0.2), gs.LossScaler(8.0)
        before = everything(opt)
        with pytest.raises(UserWarning, match="in the place of"):  # as pytest is configured
            gs.load(tmp_path / "run", opt, scaler=scaler)
        assert_same_bits(everything(opt), before)
        assert (opt.lr, opt.steps, scaler.scale) == (0.2, 0, 8.0)

    def test_groups_are_named(self, tmp_path: Path) -> None:
        gs.save(tmp_path / "run", gs.SGD(ones(), groups=[("b", {"lr": 0.1})]))
        other = gs.SGD(ones(), groups=[("b", {"lr": 0.2})])
        with pytest.warns(
            UserWarning, match=r"run has groups\[0\]: lr = 0\.1 in the place of 0\.2"
        ):
            gs.load(tmp_path / "run", other)

    def test_the_constructors_can_be_kept(self, tmp_path: Path) -> None:
        opt = stepped(lr=0.1, ema_decay=0.5)
        gs.save(tmp_path / "run", opt)
        other = gs.AdamW(ones(), lr=0.2, amsgrad=True)
        gs.load(tmp_path / "run", other, hyperparameters=False)
        assert (other.lr, other.amsgrad, other.ema_decay, other.steps) == (0.2, True, None, 1)
        for name, slots in opt.state.items():
            for slot, array in slots.items():
                np.testing.assert_array_equal(other.state[name][slot], array)
            np.testing.assert_array_equal(other.state[name]["max_exp_avg_sq"], 0)
        assert not other.ema

    def test_averages_that_the_file_lacks_begin_anew(self, tmp_path: Path) -> None:
        gs.save(tmp_path / "run", stepped(lr=0.1))
        other = gs.AdamW(ones(), lr=0.1, ema_decay=0.5)
        gs.load(tmp_path / "run", other, hyperparameters=False)
        np.testing.assert_array_equal(other.ema["w"], other.params["w"])
        other.step(ones())

    def test_a_damaged_record_of_them_is_refused(self, tmp_path: Path) -> None:
        from gradstep.saving.parts import Part, content_of

        opt = stepped()
        for bad in ({}, [], [{"speed": 1}], [{"lr": -1}], [3]):
            content = content_of(opt, True, copied=True) | {"constructed": bad}
            with pytest.raises(ValueError, match=r"constructed|lr must be"):
                Part(opt, content, True)


class TestPlainValues:
    def test_come_back_from_load(self, tmp_path: Path) -> None:
        opt = stepped()
        values: dict[str, Any] = {
            "epoch": 3,
            "best": float("nan"),
            "name": "run",
            "history": [1.0, 2.0],
            "settings": {"deep": {"table": np.arange(3)}, "none": None},
        }
        gs.save(tmp_path / "run", opt, **values, scaler=gs.LossScaler(4.0))
        scaler = gs.LossScaler()
        np.testing.assert_equal(gs.load(tmp_path / "run", opt, scaler=scaler), values)
        assert scaler.scale == 4.0
        assert gs.load(tmp_path / "run")["epoch"] == 3
        assert "epoch" not in gs.load(tmp_path / "run", epoch=None)
        with pytest.raises(ValueError, match="epoch is a plain value, which load"):
            gs.load(tmp_path / "run", opt, scaler=scaler, epoch=gs.LossScaler())

    def test_what_cannot_be_saved_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(TypeError, match=r"values/settings/f is .* a checkpoint holds numbers"):
            gs.save(tmp_path / "run", stepped(), settings={"f": len})
        with pytest.raises(TypeError, match="load\\(\\) has an option 'hyperparameters'"):
            gs.save(tmp_path / "run", stepped(), hyperparameters={})
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "bits", [np.random.PCG64, np.random.MT19937, np.random.Philox, np.random.SFC64]
)
def test_random_generators_continue(bits: Any, tmp_path: Path) -> None:
    rng, opt = np.random.Generator(bits(1)), stepped()
    rng.random(3, np.float32)
    legacy = np.random.RandomState(2)
    legacy.normal()
    gs.save(tmp_path / "run", opt, rng=rng, bits=rng.bit_generator, legacy=legacy)
    expected = rng.random(5), legacy.normal(size=5)
    again, also, old = np.random.Generator(bits()), bits(), np.random.RandomState()
    assert gs.load(tmp_path / "run", opt, rng=again, bits=also, legacy=old) == {}
    np.testing.assert_equal((again.random(5), old.normal(size=5)), expected)
    np.testing.assert_equal(np.random.Generator(also).random(5), expected[0])
    other = np.random.Generator(np.random.PCG64DXSM())
    before = other.bit_generator.state
    with pytest.raises(ValueError, match=r"cannot load .*run: rng: "):
        gs.load(tmp_path / "run", opt, rng=other, bits=None, legacy=None)
    assert other.bit_generator.state == before


class TestSeveralOptimizers:
    def test_continue_with_their_parameters(self, tmp_path: Path) -> None:
        first, second = stepped(lr=0.1), stepped(gs.SGD, lr=0.1, momentum=0.9)
        gs.save(tmp_path / "run", first, critic=second)
        fresh, critic = gs.AdamW(ones(), lr=0.1), gs.SGD(ones(), lr=0.1, momentum=0.9)
        gs.load(tmp_path / "run", fresh, critic=critic)
        assert_same_bits(everything(fresh), everything(first))
        assert_same_bits(everything(critic), everything(second))

    def test_are_all_loaded_or_none(self, tmp_path: Path) -> None:
        gs.save(tmp_path / "run", stepped(), a=stepped(gs.SGD, lr=0.3), b=stepped(gs.Adam))
        opt, a, b = gs.AdamW(ones()), gs.SGD(ones(), lr=0.3), gs.Adam({"w": np.ones(3)})
        before = everything(opt), everything(a)
        with pytest.raises(ValueError, match=r"cannot load .*: b: .*must hold the parameters"):
            gs.load(tmp_path / "run", opt, a=a, b=b)
        assert_same_bits(everything(opt), before[0])
        assert_same_bits(everything(a), before[1])
        assert (opt.steps, a.steps) == (0, 0)

    def test_warn_by_name_and_may_be_saved_without_parameters(self, tmp_path: Path) -> None:
        gs.save(tmp_path / "run", stepped(), params=False, critic=stepped(gs.SGD, lr=0.3))
        critic = gs.SGD(ones(), lr=0.4)
        with pytest.warns(UserWarning, match=r"critic: lr = 0\.3 in the place of 0\.4"):
            gs.load(tmp_path / "run", gs.AdamW(ones()), critic=critic)
        np.testing.assert_array_equal(critic.params["w"], 1)
        again = gs.SGD(ones(), lr=0.4)
        gs.load(tmp_path / "run", gs.AdamW(ones()), hyperparameters=False, critic=again)
        assert (again.lr, again.steps) == (0.4, 1)

    def test_one_in_two_places_is_refused(self, tmp_path: Path) -> None:
        opt = stepped()
        with pytest.raises(RuntimeError, match=r"busy with save\(\)"):
            gs.save(tmp_path / "run", opt, again=opt)


class TestParametersAlone:
    def test_are_written_in_place(self, tmp_path: Path) -> None:
        opt = stepped()
        gs.save(tmp_path / "run", opt, scaler=gs.LossScaler())
        params = {"w": np.zeros(3), "b": np.asfortranarray(np.zeros(2))}
        gs.load(tmp_path / "run", params=params)
        for name, array in params.items():
            np.testing.assert_array_equal(array, opt.params[name])

    def test_are_checked_before_any_is_written(self, tmp_path: Path) -> None:
        opt = stepped(ema_decay=0.5)
        gs.save(tmp_path / "run", opt)
        params = {"w": np.zeros(3), "b": np.zeros(3)}
        with pytest.raises(ValueError, match=r"cannot load .*parameter 'b' in it has shape \(2,\)"):
            gs.load(tmp_path / "run", params=params)
        with pytest.raises(ValueError, match=r"its parameters are \['w', 'b'\]; those"):
            gs.load(tmp_path / "run", params={"w": np.zeros(3)})
        assert not any(array.any() for array in params.values())
        with opt.swap_averages(), pytest.raises(RuntimeError, match=r"call load.* after its with"):
            gs.load(tmp_path / "run", params=dict(opt.params))
        gs.save(tmp_path / "without", opt, params=False)
        with pytest.raises(ValueError, match="it was saved without parameters"):
            gs.load(tmp_path / "without", params=ones())

    def test_with_an_optimizer_they_are_checked_to_be_its(self, tmp_path: Path) -> None:
        opt = stepped()
        gs.save(tmp_path / "run", opt)
        gs.load(tmp_path / "run", opt, params=dict(opt.params))
        with pytest.raises(ValueError, match="'w' is not the array that the optimizer trains"):
            gs.load(tmp_path / "run", opt, params=ones())
