"""Checkpoints: written by any number of ranks, loaded by any other, to the bit."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from gradstep.distributed import OtherRankError, Sharded, in_threads
from tests.distributed.training import Training, everything_of, params_of
from tests.helpers import Array, assert_same_bits, everything

safetensors = pytest.importorskip("safetensors")

OPTIONS = {"lr": 0.05, "weight_decay": 0.1, "ema_decay": 0.9}
TRAINING = Training(gs.AdamW, OPTIONS)


def train(comm: Any, path: Path, first: int, last: int) -> dict[str, Array]:
    params = params_of(seed=first)
    opt = Sharded(gs.AdamW, params, comm, **OPTIONS)
    if first:
        assert gs.load(path, opt) == {"epoch": first}
    for step in range(first, last):
        TRAINING.step(opt, params, step)
    gs.save(path, opt, epoch=last)
    return everything_of(opt)


@pytest.mark.parametrize(("before", "after"), [(1, 3), (2, 1), (3, 4), (4, 2)])
def test_one_number_of_ranks_goes_on_where_another_was(
    tmp_path: Path, before: int, after: int
) -> None:
    path = tmp_path / "run.safetensors"
    in_threads(before, lambda comm: train(comm, path, 0, 2))
    expected, _ = TRAINING.in_one_process()
    for arrays in in_threads(after, lambda comm: train(comm, path, 2, 3)):
        assert_same_bits(arrays, expected)
    alone = gs.AdamW(params_of(seed=5), **OPTIONS)
    gs.load(path, alone)  # it is the file of one process
    assert_same_bits(everything(alone), expected)


def test_a_file_of_one_process_goes_on_on_three_ranks(tmp_path: Path) -> None:
    params = params_of()
    opt = gs.AdamW(params, **OPTIONS)
    path = tmp_path / "run.safetensors"
    opt.step(TRAINING.gradients(params, 0, 0))
    gs.save(path, opt)

    def loaded(comm: Any) -> dict[str, Array]:
        sharded = Sharded(gs.AdamW, params_of(seed=1), comm, **OPTIONS)
        gs.load(path, sharded)
        return everything_of(sharded)

    for arrays in in_threads(3, loaded):
        assert_same_bits(arrays, everything(opt))


def of_state(arrays: dict[str, Array]) -> dict[str, Array]:
    """Without the parameters, which a state does not hold."""
    return {name: array for name, array in arrays.items() if "/" in name}


def test_state_dict_is_that_of_one_process_and_loads() -> None:
    def state(comm: Any) -> tuple[dict[str, Any], dict[str, Array]]:
        params = params_of()
        opt = Sharded(gs.AdamW, params, comm, **OPTIONS)
        TRAINING.step(opt, params, 0)
        twin = Sharded(gs.AdamW, params_of(), comm, **OPTIONS)
        twin.load_state_dict(opt.state_dict())
        assert_same_bits(of_state(everything_of(twin)), of_state(everything_of(opt)))
        again = twin.state_dict()
        assert again["steps"] == twin.steps == 1
        return again, everything_of(opt)

    for one, of_ranks in in_threads(3, state):
        opt = gs.AdamW(params_of(), **OPTIONS)
        opt.load_state_dict(one)
        assert opt.steps == 1
        assert_same_bits(of_state(everything(opt)), of_state(of_ranks))


def refused(comm: Any, path: Path, opt: Sharded) -> str:
    before = everything_of(opt)
    with pytest.raises((ValueError, OtherRankError)) as error:
        gs.load(path, opt)
    assert_same_bits(everything_of(opt), before)
    return str(error.value)


def test_files_that_do_not_fit_change_nothing(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    gs.save(path, gs.AdamW({"w": np.ones(3000, np.float32)}, **OPTIONS))

    def load(comm: Any) -> str:
        other = {"w": np.zeros(3001, np.float32)}
        return refused(comm, path, Sharded(gs.AdamW, other, comm, **OPTIONS))

    for text in in_threads(2, load):
        assert "state['w']['exp_avg'] in state_dict has shape (3000,)" in text


def test_a_file_that_one_rank_cannot_read(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    gs.save(path, gs.AdamW(params_of(), **OPTIONS))

    def load(comm: Any) -> str:
        mine = path if comm.rank else tmp_path / "other"
        opt = Sharded(gs.AdamW, params_of(), comm, **OPTIONS)
        before = everything_of(opt)
        with pytest.raises((OSError, OtherRankError)) as error:
            gs.load(mine, opt)
        assert_same_bits(everything_of(opt), before)
        return str(error.value)

    first, second = in_threads(2, load)
    assert "No such file" in first
    assert second.startswith("rank 0 raised FileNotFoundError")


def test_ranks_that_read_different_files(tmp_path: Path) -> None:
    for rank in range(2):
        gs.save(tmp_path / f"{rank}", gs.AdamW(params_of(seed=rank), **OPTIONS))

    def load(comm: Any) -> str:
        opt = Sharded(gs.AdamW, params_of(), comm, **OPTIONS)
        return refused(comm, tmp_path / f"{comm.rank}", opt)

    for text in in_threads(2, load):
        assert "the ranks disagree" in text


def test_a_save_that_fails_leaves_the_old_file_and_all_raise(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "run.safetensors"

    def save(comm: Any) -> BaseException:
        opt = Sharded(gs.AdamW, params_of(), comm, **OPTIONS)
        with pytest.raises((FileNotFoundError, OtherRankError)) as error:
            gs.save(path, opt)
        return error.value

    first, second = in_threads(2, save)
    assert isinstance(first, FileNotFoundError)
    assert isinstance(second, OtherRankError)
    assert "there is no such folder" in str(second)
    assert os.listdir(tmp_path) == []


def test_what_cannot_be_saved_is_said_on_all_ranks(tmp_path: Path) -> None:
    def save(comm: Any) -> str:
        opt = Sharded(gs.AdamW, params_of(), comm, **OPTIONS)
        with pytest.raises((TypeError, OtherRankError)) as error:
            gs.save(tmp_path / "run", opt, other=opt if comm.rank else 3)
        return str(error.value)

    first, second = in_threads(2, save)
    assert second == "other is a Sharded, which all ranks save together; give it a file"
    assert first.startswith(f"rank 1 raised TypeError: {second}")


def test_averages_are_swapped_in_on_all_ranks() -> None:
    plain = gs.AdamW(params := params_of(), **OPTIONS)
    plain.step(TRAINING.gradients(params, 0, 0))
    with plain.swap_averages():
        expected = {name: param.copy() for name, param in params.items()}

    def swapped(comm: Any) -> dict[str, Array]:
        ours = params_of()
        opt = Sharded(gs.AdamW, ours, comm, average=False, **OPTIONS)
        nothing = {name: np.zeros_like(param) for name, param in ours.items()}
        opt.step(TRAINING.gradients(ours, 0, 0) if comm.rank == 0 else nothing)
        before = {name: param.copy() for name, param in ours.items()}
        with opt.swap_averages():
            inside = {name: param.copy() for name, param in ours.items()}
        assert_same_bits(ours, before)
        return inside

    for arrays in in_threads(3, swapped):
        assert_same_bits(arrays, expected)


def test_no_averages() -> None:
    def swap(comm: Any) -> str:
        opt = Sharded(gs.AdamW, params_of(), comm)
        with pytest.raises(RuntimeError) as error, opt.swap_averages():
            pass
        return str(error.value)

    for text in in_threads(2, swap):
        assert text == "there are no averages to swap in; set ema_decay"
