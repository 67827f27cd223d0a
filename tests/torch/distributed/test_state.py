"""State spread as its parameters are: on live memory, put together, saved, and spread anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.torch.distributed.training import (
    alone,
    assert_close,
    assert_same_bits,
    dist,
    front,
    full_only,
    model,
    my_part,
    optimizer,
    sharded,
    torch,
    train,
    values,
)

KEPT = range(5)  # the steps before the state is saved
AFTER = range(5, 8)


def alike() -> None:
    from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor

    mesh = dist.device_mesh.init_device_mesh("cpu", (2,))
    params = [
        torch.nn.Parameter(distribute_tensor(torch.ones(shape), mesh, [placement]))
        for shape, placement in (
            ((5, 3), Shard(0)),
            ((5, 3), Shard(1)),
            ((1,), Shard(0)),
            ((3,), Replicate()),
            ((), Replicate()),
        )
    ]
    idle = torch.nn.Parameter(distribute_tensor(torch.ones(2), mesh, [Shard(0)]))
    opt = front.AdamW([*params, idle], ema_decay=0.9)
    for param in params:
        param.grad = torch.ones_like(param)
    opt.step()
    entries = {param: dict(opt.state[param]) for param in params}
    for param, entry in entries.items():
        assert set(entry) == {"step", "exp_avg", "exp_avg_sq", "ema"}
        assert type(entry.pop("step")) is torch.Tensor
        for value in entry.values():
            assert isinstance(value, DTensor)
            assert not value.requires_grad
            assert value.placements == param.placements
            assert value.shape == param.shape
            assert value.stride() == param.stride()
    idle.grad = torch.ones_like(idle)  # state is shown anew
    opt.step()
    for param, entry in entries.items():
        assert all(opt.state[param][key] is value for key, value in entry.items())
        assert torch.equal(entry["exp_avg"].to_local(), torch.full_like(param, 0.19).to_local())
        assert opt.ema[param] is entry["ema"]


def test_as_their_parameters(processes: Any) -> None:
    processes(alike, 2)


def replaced() -> Any:
    """State in another order of processes, and as a whole in each."""
    from torch.distributed.tensor import Replicate, Shard

    net = sharded()
    opt = optimizer("AdamW", net.parameters())
    train(net, opt, KEPT, my_part())
    entry = opt.state[net.first.weight]
    for key, placement in (("exp_avg", Replicate()), ("exp_avg_sq", Shard(1))):
        entry[key] = entry[key].redistribute(placements=[placement])
    train(net, opt, AFTER, my_part())
    assert entry["exp_avg"].placements == (Shard(0),)
    return values(net, opt)


def test_state_that_is_spread_otherwise(processes: Any) -> None:
    assert_close(processes(replaced, 2)[0], alone("AdamW", range(8)))


def saved(folder: Path, name: str) -> Any:
    """Trained to the end, and saved on the way."""
    from torch.distributed import checkpoint
    from torch.distributed.checkpoint.state_dict import get_state_dict

    net = sharded()
    opt = optimizer(name, net.parameters())
    train(net, opt, KEPT, my_part())
    parts = get_state_dict(net, opt)
    checkpoint.save(dict(zip(("net", "opt"), parts, strict=True)), checkpoint_id=folder / name)
    train(net, opt, AFTER, my_part())
    return values(net, opt)


def loaded(folder: Path, name: str) -> Any:
    """Loaded, and trained to the end."""
    from torch.distributed import checkpoint
    from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict

    rank, world = my_part()
    net = sharded() if world > 1 else model()
    opt = optimizer(name, net.parameters())
    content = dict(zip(("net", "opt"), get_state_dict(net, opt), strict=True))
    checkpoint.load(content, checkpoint_id=folder / name)
    set_state_dict(net, opt, model_state_dict=content["net"], optim_state_dict=content["opt"])
    assert opt.steps == KEPT.stop
    train(net, opt, AFTER, (rank, world))
    return values(net, opt)


@pytest.mark.parametrize(
    "name", ["AdamW", *(pytest.param(name, marks=full_only) for name in ("SGD", "Lion"))]
)
def test_checkpoints_on_another_number_of_processes(
    name: str, processes: Any, tmp_path: Path
) -> None:
    expected = processes(saved, 2, tmp_path, name)[0]
    assert_same_bits(processes(loaded, 2, tmp_path, name)[0], expected)
    for world in (1, 4):
        assert_close(processes(loaded, world, tmp_path, name)[0], expected)


SPLIT = {"rounding": "split"}


def gathered() -> Any:
    """All of the state in every process, and in optimizers that have been given it."""
    from torch.distributed.checkpoint.state_dict import (
        StateDictOptions,
        get_optimizer_state_dict,
        set_optimizer_state_dict,
    )

    net = sharded(torch.bfloat16)
    opt = optimizer("AdamW", net.parameters(), **SPLIT)
    train(net, opt, KEPT)
    opt.zero_grad()
    whole = StateDictOptions(full_state_dict=True, cpu_offload=True)
    content = get_optimizer_state_dict(net, opt, options=whole)
    assert bool(content) == (dist.get_rank() == 0)
    ends = [values(net, opt)]
    for from_first in (False, True):
        options = StateDictOptions(full_state_dict=True, broadcast_from_rank0=from_first)
        new = optimizer("AdamW", net.parameters(), **SPLIT)
        given = content if from_first else get_optimizer_state_dict(net, opt, options=options)
        set_optimizer_state_dict(net, new, given, options=options)
        assert new.steps == opt.steps
        ends.append(values(net, new))
    return ends, content.get("state")


def test_all_state_in_one_dict(processes: Any) -> None:
    ranks = processes(gathered, 2)
    for (end, *others), _ in ranks:
        for other in others:
            assert_same_bits(other, end)
    found = {f"{p}: {k}": value for p, entry in ranks[0][1].items() for k, value in entry.items()}
    assert_same_bits(found, {key: value for key, value in ranks[0][0][0].items() if ":" in key})
    assert "first.weight: trailing_bits" in found
