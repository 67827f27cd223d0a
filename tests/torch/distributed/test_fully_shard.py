"""FSDP2: every process steps its part of each parameter, and some have none of it."""

from __future__ import annotations

from typing import Any

import pytest

import gradstep as gs
from tests.torch.distributed.training import (
    OPTIONS,
    STEPS,
    alone,
    assert_close,
    assert_same_bits,
    caught,
    dist,
    front,
    full_only,
    loss_of,
    model,
    my_part,
    optimizer,
    sharded,
    torch,
    train,
    values,
)

LIMITS = {"plain": {}, "limited": {"clip_norm": gs.schedules.linear(4, 0.2, 0.1)}}


def trained(backend: str, names: list[str], mesh: Any) -> dict[str, Any]:
    """Parameters, state and norms after steps with each optimizer, and torch's norms."""
    ends = {}
    with gs.runtime.set_backend(backend):
        for name in names:
            for limit, options in LIMITS.items():
                net = sharded(mesh=mesh)
                opt = optimizer(name, net.parameters(), **options)
                norms, theirs = [], []
                for step in STEPS:
                    train(net, opt, [step], my_part())
                    norms.append(opt.last_info.grad_norm)
                    whole = torch.nn.utils.clip_grad_norm_(net.parameters(), torch.inf)
                    theirs.append(float(whole.full_tensor()))
                ends[f"{name} {limit}"] = values(net, opt), norms, theirs
    return ends


def assert_as_one_process(ranks: list[dict[str, Any]]) -> None:
    for name, (end, norms, theirs) in ranks[0].items():
        kind, limit = name.split()
        assert_close(end, alone(kind, **LIMITS[limit]))
        for rank in ranks[1:]:
            assert_same_bits(rank[name][0], end)
            assert rank[name][1] == norms
        if limit == "plain":
            assert norms == [None] * len(STEPS)
        else:
            assert norms == pytest.approx(theirs, rel=1e-14)


@pytest.mark.parametrize(
    ("world", "names"),
    [(2, [*OPTIONS]), (4, ["AdamW"]), pytest.param(4, ["SGD", "Lion"], marks=full_only)],
)
def test_as_one_process(world: int, names: list[str], processes: Any) -> None:
    assert_as_one_process(processes(trained, world, gs.runtime.backend(), names, None))


@full_only
def test_on_the_numpy_backend(processes: Any) -> None:
    assert_as_one_process(processes(trained, 2, "numpy", ["AdamW"], None))


def test_replicated_and_sharded(processes: Any) -> None:
    assert_as_one_process(processes(trained, 4, gs.runtime.backend(), ["AdamW"], (2, 2)))


def with_the_same_data() -> dict[str, Any]:
    ends = {}
    for name in OPTIONS:
        net = sharded(torch.float32)
        opt = optimizer(name, net.parameters())
        train(net, opt)
        ends[name] = values(net, opt), alone(name, dtype=torch.float32)
    return ends


def test_equal_gradients_make_equal_bits(processes: Any) -> None:
    """The mean of two equal gradients is the gradient, and a step sees elements only."""
    for ends in processes(with_the_same_data, 2):
        for sharded_end, end in ends.values():
            assert_same_bits(sharded_end, end)


def clipped_by_torch() -> Any:
    net = sharded()
    opt = optimizer("AdamW", net.parameters())
    params = list(net.parameters())
    train(net, opt, STEPS, my_part(), lambda _: torch.nn.utils.clip_grad_norm_(params, 0.1))
    return values(net, opt)


def test_after_torch_s_clip_grad_norm(processes: Any) -> None:
    """Which divides by the norm + 1e-6, as clip_norm does."""
    assert_close(processes(clipped_by_torch, 2)[0], alone("AdamW", clip_norm=0.1))


SPOILED = 2  # the step in which a gradient is not finite


def skipping(values_of_gradients: list[float]) -> Any:
    ends = []
    for value in values_of_gradients:
        net = sharded()
        opt = optimizer("AdamW", net.parameters(), skip_nonfinite=True)
        skipped = []
        for step in STEPS:
            spoiled = step == SPOILED and dist.get_rank() == 1

            def spoil(_: int, net: Any = net, value: float = value if spoiled else 1.0) -> None:
                net.first.weight.grad.to_local()[-1, -1] *= value

            train(net, opt, [step], my_part(), spoil)
            skipped.append(opt.last_info.skipped)
        ends.append((skipped, opt.steps, values(net, opt)))
    return ends


def test_all_processes_skip_a_step_or_none(processes: Any) -> None:
    expected = alone("AdamW", [step for step in STEPS if step != SPOILED])
    for ends in processes(skipping, 2, [torch.nan, -torch.inf]):
        for skipped, steps, end in ends:
            assert skipped == [step == SPOILED for step in STEPS]
            assert steps == len(STEPS) - 1
            assert_close(end, expected)


WHOLE = "needs whole tensors, and each process has a part of these parameters; "
TEXTS = {
    ("clip_tensor_norm", 0.1): f"clip_tensor_norm {WHOLE}use clip_norm, whose norm is summed over "
    "all processes",
    ("clip_adaptive", 0.1): f"clip_adaptive {WHOLE}use clip_norm, whose norm is summed over all "
    "processes",
    ("cautious", True): f"cautious {WHOLE}leave it out",
    ("state_dtype", "8bit"): f"state_dtype='8bit' {WHOLE}use 'bfloat16'",
}


def refused() -> list[list[str]]:
    """The errors of the constructor, of add_param_group, and of steps after a change."""
    net = sharded()
    made = optimizer("AdamW", [net.last.weight])
    opt = optimizer("AdamW", net.parameters(), clip_norm=1.0)
    train(net, opt, [0], my_part())
    before = values(net, opt)
    group = opt.param_groups[0]
    errors = []
    for option, value in TEXTS:
        new = {"params": [net.norm.weight], option: value}
        texts = [
            caught(optimizer, "AdamW", net.parameters(), **{option: value}),
            caught(made.add_param_group, new),
        ]
        group[option], usual = value, group[option]
        texts += [caught(opt.step), caught(opt.step)]
        group[option] = usual
        errors.append(texts)
    assert len(made.param_groups) == 1
    assert_same_bits(values(net, opt), before)
    opt.step()
    assert not torch.equal(values(net, opt)["last.weight"], before["last.weight"])
    return errors


def test_what_needs_whole_tensors_is_refused(processes: Any) -> None:
    for errors in processes(refused, 2):
        assert errors == [[text] * 4 for text in TEXTS.values()]


def directed() -> list[str]:
    net = sharded()
    front.Muon([torch.ones(2, 2)])
    errors = [caught(front.Muon, [net.first.weight, net.last.weight])]
    return [*errors, caught(front.SOAP, net.parameters())]


def test_directions_of_whole_matrices_are_refused(processes: Any) -> None:
    text = (
        "the directions of {} are computed of whole matrices, and each process has a part of "
        "these parameters; use AdamW or another optimizer whose steps go element by element"
    )
    expected = [text.format("'muon'"), text.format("'soap'")]
    assert processes(directed, 2) == [expected] * 2


def with_two_limits() -> str:
    net = sharded()
    groups = [{"params": [net.last.weight]}, {"params": [net.last.bias], "clip_norm": 0.1}]
    loss_of(net, 0, *my_part()).backward()
    before = values(net, opt := optimizer("AdamW", groups))
    text = caught(opt.step)
    assert_same_bits(values(net, opt), before)
    return text


def test_one_limit_for_all_groups(processes: Any) -> None:
    for text in processes(with_two_limits, 2):
        assert text == (
            "clip_norm must be the same in all groups for DTensors, got None and 0.1; set it for "
            "the optimizer as a whole"
        )


def by_itself() -> Any:
    ends = []
    for net in (sharded(), model()):
        opt = optimizer("AdamW", net.parameters(), clip_tensor_norm=0.1, cautious=True)
        train(net, opt)
        ends.append(values(net, opt))
    return ends


def test_one_process_has_whole_tensors(processes: Any) -> None:
    assert_same_bits(*processes(by_itself, 1)[0])
