"""The same bits on any number of ranks as in one process that sees all shards."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradstep as gs
from gradstep.distributed.transport import Alone
from tests.distributed.training import ELEMENTWISE, IDS, Training, everything_of, params_of
from tests.helpers import Array, assert_same_bits

RANKS = (1, 2, 3, 4)


def check(training: Training, ranks: tuple[int, ...] = RANKS, **more: Any) -> None:
    expected, infos = training.in_one_process()
    for size in ranks:
        for arrays, came in gs.distributed.in_threads(size, lambda c: training.on(c, **more)):
            assert_same_bits(arrays, expected)
            assert came == infos


@pytest.mark.parametrize("case", range(len(ELEMENTWISE)), ids=IDS)
def test_every_optimizer(case: int) -> None:
    spec, variant = ELEMENTWISE[case]
    first = variant is spec.variants[0]
    check(Training(spec.cls, variant.options), RANKS if first else (3,))


@pytest.mark.parametrize("shards", [1, 2, 3, 5, 6, 7, 8, 9])
def test_any_number_of_shards(shards: int) -> None:
    check(Training(gs.AdamW, shards=shards), tuple(size for size in RANKS if size <= shards))


def test_a_sum_in_the_place_of_an_average_and_a_scale() -> None:
    check(Training(gs.SGD, {"lr": 0.01, "momentum": 0.9}, average=False, grad_scale=0.3))


def test_float64_beside_float32() -> None:
    def make() -> dict[str, Array]:
        mixed = params_of()
        for name in ("small1", "matrix", "large"):
            mixed[name] = mixed[name].astype(np.float64)
        return mixed

    check(Training(gs.Adam, make=make))


def test_one_shard_is_the_optimizer_itself() -> None:
    ours, theirs = params_of(), params_of()
    training = Training(gs.AdamW, shards=1)
    sharded, plain = gs.distributed.Sharded(gs.AdamW, ours, Alone()), gs.AdamW(theirs)
    for step in range(3):
        grads = training.gradients(ours, step, 0)
        assert sharded.step(grads) == plain.step(grads)
    assert_same_bits(ours, theirs)


def test_each_rank_is_a_shard_by_default() -> None:
    training = Training(gs.Lion, shards=3)

    def train(comm: Any) -> dict[str, Array]:
        params = training.make()
        opt = gs.distributed.Sharded(gs.Lion, params, comm)
        for step in range(3):
            opt.step(training.gradients(params, step, comm.rank))
        return everything_of(opt)

    expected, _ = training.in_one_process()
    for arrays in gs.distributed.in_threads(3, train):
        assert_same_bits(arrays, expected)


def test_groups_schedules_and_changes() -> None:
    def arranged(params: dict[str, Array]) -> list[dict[str, Any]]:
        return [
            {"params": {n: p for n, p in params.items() if n < "matrix"}, "lr": 0.3},
            {"params": {n: p for n, p in params.items() if n >= "matrix"}, "weight_decay": 0.2},
        ]

    def change(opt: Any, step: int) -> None:
        if step == 1:
            opt.betas = (0.8, 0.9)
            opt.groups[1]["weight_decay"] = 0.1

    lr = gs.schedules.linear_warmup(4) * 0.1
    check(Training(gs.AdamW, {"lr": lr}, arranged=arranged, change=change))
