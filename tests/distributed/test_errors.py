"""Where one rank raises or has something else, all raise, and nothing has changed on any."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from gradstep.distributed import Disagreement, Lost, OtherRankError, Sharded, in_threads
from gradstep.distributed.threads import ThreadRank
from tests.distributed.outcomes import ODD, SIZE, after_a_step, outcomes
from tests.distributed.training import params_of
from tests.helpers import Array, gradients


def test_a_gradient_of_another_shape() -> None:
    def act(opt: Sharded, grads: dict[str, Array], odd: bool) -> None:
        if odd:
            grads["large"] = grads["large"][:-1]
        opt.step(grads)

    first, own, third = after_a_step(act)
    assert isinstance(own, ValueError)
    assert str(own).startswith("gradient 'large' has shape (4999,); expected (5000,)")
    for other in (first, third):
        assert isinstance(other, OtherRankError)
        assert str(other).startswith("rank 1 raised ValueError: gradient 'large' has shape (4999,)")
        assert str(other).endswith("(nothing has been changed on any rank)")


def test_a_gradient_that_is_none_on_one_rank() -> None:
    def act(opt: Sharded, grads: dict[str, Any], odd: bool) -> None:
        if odd:
            grads["matrix"] = None
        opt.step(grads)

    for error in after_a_step(act):
        assert isinstance(error, Disagreement)
        assert str(error) == (
            "the ranks disagree. ranks 0, 2: gradient 'matrix' is an array; rank 1: gradient "
            "'matrix' is None. Nothing has been changed on any rank"
        )


def test_a_gradient_that_is_none_in_one_shard() -> None:
    def act(opt: Sharded, grads: dict[str, Any], odd: bool) -> None:
        opt.step([grads, grads | ({"matrix": None} if odd else {})], shards=6)

    errors = after_a_step(act)
    assert "gradient 'matrix' is None in one shard of this rank and not in another" in str(
        errors[ODD]
    )


def test_shards_that_do_not_add_up() -> None:
    for error in after_a_step(lambda opt, grads, odd: opt.step([grads] * (1 + odd), shards=6)):
        assert str(error) == (
            "shards=6, but the ranks gave [1, 2, 1], 4 together; each rank gives a list of its own"
        )


@pytest.mark.parametrize(
    ("shards", "text"),
    [
        ((), "grads holds no shard; give each rank one, or use fewer ranks"),
        ({}, "with shards= grads is a list of gradients, one for each shard of this rank; got a"),
    ],
)
def test_no_shards(shards: Any, text: str) -> None:
    def act(opt: Sharded, grads: dict[str, Any], odd: bool) -> None:
        opt.step(shards if odd else [grads], shards=3)

    assert text in str(after_a_step(act)[ODD])


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda opt: setattr(opt, "lr", 0.2), "groups[0] has lr=0.2"),
        (lambda opt: opt.groups[0].update(betas=(0.5, 0.9)), "groups[0] has betas=(0.5, 0.9)"),
    ],
)
def test_another_hyperparameter(change: Callable[[Sharded], object], text: str) -> None:
    def act(opt: Sharded, grads: dict[str, Array], odd: bool) -> None:
        before = opt.betas
        if odd:
            change(opt)
        try:
            opt.step(grads)
        finally:
            opt.lr, opt.betas = 0.1, before

    for error in after_a_step(act):
        assert isinstance(error, Disagreement)
        assert f"rank 1: {text}" in str(error)


def test_a_schedule_that_raises_on_one_rank() -> None:
    def act(opt: Sharded, grads: dict[str, Array], odd: bool) -> None:
        if odd:
            opt.lr = lambda step: -1.0
        try:
            opt.step(grads)
        finally:
            opt.lr = 0.1

    errors = after_a_step(act)
    assert "lr" in str(errors[ODD])
    assert str(errors[0]).startswith("rank 1 raised ValueError: ")


def test_another_call() -> None:
    def act(opt: Sharded, grads: dict[str, Array], odd: bool) -> None:
        if odd:
            opt.state_dict()
        else:
            opt.step(grads)

    for error in after_a_step(act):
        assert "rank 1: it calls state_dict() after 1 steps" in str(error)
        assert "ranks 0, 2: it calls step() after 1 steps" in str(error)


def test_parameters_that_have_drifted_apart() -> None:
    def work(comm: ThreadRank) -> None:
        params = params_of()
        opt = Sharded(gs.SGD, params, comm, lr=0.1, check_params_every=2)
        opt.step(gradients(params, 0))
        if comm.rank == ODD:
            params["matrix"][0, 0] += 1
        opt.step(gradients(params, 1))  # nobody looks
        if comm.rank == ODD:
            params["fortran"][0, 0] += 1
        opt.step(gradients(params, 1))

    for error in outcomes(work):
        assert isinstance(error, Disagreement)
        assert "rank 1: 'fortran' has the values of checksum" in str(error)


def made(odd: Callable[[dict[str, Any]], Any], **options: Any) -> list[BaseException]:
    """Errors of constructions that are `odd` on one rank: parameters, or changes to options."""

    def work(comm: ThreadRank) -> None:
        params: Any = params_of()
        given = odd(params) if comm.rank == ODD else params
        changed = given if given is not params and "lr" in given else {}
        Sharded(gs.AdamW, params if changed else given, comm, **{"lr": 0.1} | changed)

    return outcomes(work)


@pytest.mark.parametrize(
    ("odd", "text"),
    [
        (lambda p: p | {"more": np.ones(3)}, "parameter 'more' has shape (3,)"),
        (lambda p: p | {"large": np.ones(5001)}, "parameter 'large' has shape (5001,)"),
        (
            lambda p: p | {"large": p["large"].astype("f8")},
            "parameter 'large' has shape (5000,), dtype float64",
        ),
        (lambda p: p | {"large": p["large"] + 1}, "'large' has the values of checksum"),
        (
            lambda p: p | {"fortran": np.ascontiguousarray(p["fortran"])},
            "parameter 'fortran' has shape (290, 15), dtype float32 and order C",
        ),
        (lambda p: {"lr": 0.3}, "groups[0] has lr=0.3"),
    ],
)
def test_constructions_that_differ(odd: Callable[[Any], Any], text: str) -> None:
    for error in made(odd):
        assert isinstance(error, Disagreement)
        assert f"rank 1: {text}" in str(error)


def test_a_construction_that_fails_on_one_rank() -> None:
    errors = made(lambda p: {"lr": -1.0})
    assert str(errors[ODD]).startswith("lr must be a finite number ≥ 0")
    assert str(errors[0]).startswith("rank 1 raised ValueError: lr must be a finite number ≥ 0")


def test_a_rank_that_leaves() -> None:
    def work(comm: ThreadRank) -> BaseException | None:
        params = params_of()
        opt = Sharded(gs.SGD, params, comm, lr=0.1)
        if comm.rank == ODD:
            return None
        with pytest.raises(Lost) as lost:
            opt.step(gradients(params, 0))
        return lost.value

    first, _, third = in_threads(SIZE, work)
    assert str(first) == str(third) == "rank 1 has left, and the others wait for it"


@pytest.mark.parametrize(
    ("args", "text"),
    [
        ((gs.AdamW([np.ones(2)]), [np.ones(2)]), "optimizer must be a class of gradstep's"),
        ((dict, [np.ones(2)]), "optimizer must be a class of gradstep's"),
        ((gs.SGD, [np.ones(2)], 3), "comm must be a communicator of mpi4py"),
    ],
)
def test_arguments_of_other_kinds(args: Any, text: str) -> None:
    comm = args[2:] or (gs.distributed.transport.Alone(),)
    with pytest.raises(TypeError, match=text):
        Sharded(*args[:2], *comm)


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ({"wire": "float16"}, "wire must be None or 'bfloat16', got 'float16'"),
        ({"average": 1}, "average must be True or False, got 1"),
        ({"check_params_every": 0}, "check_params_every must be"),
        ({"speed": 2}, "speed"),
    ],
)
def test_options_that_are_not_legal(option: dict[str, Any], text: str) -> None:
    with pytest.raises((TypeError, ValueError), match=text):
        Sharded(gs.SGD, [np.ones(2)], gs.distributed.transport.Alone(), lr=0.1, **option)


def test_an_unknown_attribute() -> None:
    opt = Sharded(gs.SGD, [np.ones(2)], gs.distributed.transport.Alone(), lr=0.1)
    with pytest.raises(AttributeError, match="speed"):
        opt.speed = 3
    with pytest.raises(AttributeError, match="Sharded has no attribute 'speed'"):
        _ = opt.speed
    assert opt.lr == 0.1
