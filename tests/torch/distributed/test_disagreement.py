"""Processes that do not have the same, tensors that are not where they were: no process waits for
one that does not come, and none steps what it should not."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.torch.distributed.training import caught, dist, front, torch


def mesh_of_all() -> Any:
    return dist.device_mesh.init_device_mesh("cpu", (dist.get_world_size(),))


def spread(values: Any, mesh: Any, *placements: Any) -> Any:
    from torch.distributed.tensor import Shard, distribute_tensor

    return torch.nn.Parameter(distribute_tensor(values, mesh, placements or [Shard(0)]))


def give(param: Any, value: float | None) -> None:
    param.grad = None if value is None else torch.full_like(param, value)


def parts(*params: Any) -> list[Any]:
    from torch.distributed.tensor import DTensor

    return [(p.to_local() if isinstance(p, DTensor) else p).tolist() for p in params]


def without_some_gradients() -> Any:
    mesh, rank = mesh_of_all(), dist.get_rank()
    first, second = (spread(torch.zeros(4), mesh) for _ in range(2))
    opt = front.SGD([first, second], lr=1.0, clip_norm=2.5)
    give(first, 3.0 if rank == 0 else None)
    give(second, 4.0 if rank == 1 else None)
    opt.step()
    return opt.last_info.grad_norm, parts(first, second)


def test_gradients_in_one_process_only(processes: Any) -> None:
    norm = math.sqrt(2 * 9.0 + 2 * 16.0)
    (one, here), (two, there) = processes(without_some_gradients, 2)
    assert one == two == norm
    limit = 2.5 / (norm + 1e-6)
    assert here == [pytest.approx([-3.0 * limit] * 2, rel=1e-7), [0.0] * 2]
    assert there == [[0.0] * 2, pytest.approx([-4.0 * limit] * 2, rel=1e-7)]


def with_meshes() -> Any:
    from torch.distributed.tensor import DTensor, Partial, Replicate, Shard

    square = dist.device_mesh.init_device_mesh("cpu", (2, 2), mesh_dim_names=("a", "b"))
    ones = torch.ones(4, 4)
    params = [
        spread(ones, mesh_of_all()),
        spread(ones, square, Shard(0), Shard(1)),
        spread(ones, square, Replicate(), Shard(1)),
        spread(ones, square, Replicate(), Replicate()),
        spread(ones, square["a"], Shard(1)),
        torch.nn.Parameter(ones.clone()),
    ]
    opt = front.SGD(params, lr=1.0, clip_norm=1.0)
    for param in params:
        give(param, 1.0)
    opt.step()
    summands = DTensor.from_local(torch.full((4, 4), 0.25), mesh_of_all(), [Partial()])
    grads = [param.grad for param in params]
    return opt.last_info.grad_norm, front.global_norm([*grads, None, summands])


def test_meshes_of_all_kinds_beside_plain_tensors(processes: Any) -> None:
    assert processes(with_meshes, 4) == [(math.sqrt(6 * 16.0), math.sqrt(7 * 16.0))] * 4


def on_a_mesh_of_others() -> Any:
    param = spread(torch.ones(4), dist.device_mesh.DeviceMesh("cpu", [0, 1]))
    opt = front.SGD([param], lr=0.5, momentum=0.9)
    give(param, 1.0)
    opt.step()
    opt.param_groups[0]["clip_norm"] = 1.0
    text = caught(opt.step) if dist.get_rank() == 2 else opt.step()
    return text, parts(param)


def test_a_mesh_without_this_process(processes: Any) -> None:
    *members, (text, empty) = processes(on_a_mesh_of_others, 3)
    end = 0.5 - 0.5 * (0.9 + 1 / (2 + 1e-6))
    assert members == [(None, [pytest.approx([end] * 2, rel=1e-6)])] * 2
    assert empty == [[]]
    assert text == (
        "clip_norm and skip_nonfinite need the gradients of the processes [0, 1], of which this "
        "one is none; give parameters to the optimizers of those processes that have parts of them"
    )


def in_a_hurry() -> Any:
    from torch.distributed._functional_collectives import AsyncCollectiveTensor
    from torch.distributed.tensor import DTensor, Partial, Replicate, Shard, distribute_tensor

    mesh = mesh_of_all()
    values = distribute_tensor(torch.ones(4), mesh, [Shard(0)])
    late = values.redistribute(mesh, [Replicate()], async_op=True)
    param = torch.nn.Parameter(late)
    assert isinstance(param.data._local_tensor, AsyncCollectiveTensor)
    opt = front.AdamW([param], lr=0.5, clip_norm=1e9, weight_decay=0.0)
    for _ in range(2):
        each = DTensor.from_local(torch.full((4,), 0.5), mesh, [Partial()])
        param.grad = each.redistribute(mesh, [Replicate()], async_op=True)
        assert isinstance(param.grad._local_tensor, AsyncCollectiveTensor)
        opt.step()
    return opt.last_info.grad_norm, parts(param, opt.state[param]["exp_avg"])


def test_collectives_that_are_under_way(processes: Any) -> None:
    for norm, (values, means) in processes(in_a_hurry, 2):
        assert norm == 2.0
        assert values == pytest.approx([0.0] * 4, abs=1e-6)
        assert means == pytest.approx([0.19] * 4, rel=1e-6)


def looked_at_by_one() -> Any:
    """What one process does to the state makes it look anew, which others do not wait for."""
    mesh, rank = mesh_of_all(), dist.get_rank()
    param, idle = (spread(torch.ones(4), mesh) for _ in range(2))
    opt = front.SGD([param, idle], lr=0.5, momentum=0.5, clip_norm=1e9)
    for step in range(4):
        give(param, 1.0)
        opt.step()
        if rank == step % 2:
            assert opt.state[idle] == {}
            entry = opt.state[param]
            entry["momentum_buffer"] = entry["momentum_buffer"].clone()
    return parts(param)


def test_state_that_one_process_has_changed(processes: Any) -> None:
    assert processes(looked_at_by_one, 2) == [[[1 - 0.5 * (1 + 1.5 + 1.75 + 1.875)] * 2]] * 2


def scaled() -> Any:
    mesh, rank = mesh_of_all(), dist.get_rank()
    param = spread(torch.ones(4), mesh)
    opt = front.SGD([param], lr=0.5, fused=True, clip_norm=1.0)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    for step in range(3):
        give(param, float(scaler.scale(torch.ones(()))))
        if step == 1 and rank == 1:
            param.grad.to_local()[0] = torch.inf
        scaler.step(opt)
        scaler.update()
        if step == 1:
            assert opt.last_info.skipped
            scaler.update(1024.0)
    return scaler.get_scale(), opt.steps, opt.last_info.grad_norm, parts(param)


def test_an_overflow_in_one_process(processes: Any) -> None:
    end = [pytest.approx([1 - 2 * 0.5 / (2 + 1e-6)] * 2, rel=1e-6)]
    assert processes(scaled, 2) == [(1024.0, 2, 2.0, end)] * 2


def moved() -> Any:
    """The part of a parameter replaced, as FSDP2 does when it pads what was loaded."""
    param = spread(torch.ones(4), mesh_of_all())
    opt = front.SGD([param], lr=0.5, ema_decay=0.5)
    give(param, 1.0)
    opt.step()
    param._local_tensor = torch.full((2,), 3.0)
    with opt.swap_averages():
        swapped = parts(param)
    opt.step()
    return swapped, parts(param, opt.ema[param])


def test_parts_that_were_replaced(processes: Any) -> None:
    assert processes(moved, 2) == [([[0.75] * 2], [[2.5] * 2, [1.625] * 2])] * 2


def stale() -> str:
    from torch.distributed.tensor import Replicate, distribute_tensor

    mesh = mesh_of_all()
    param, idle = (spread(torch.ones(4, 4), mesh, Replicate()) for _ in range(2))
    opt = front.SGD([param, idle], lr=0.5)
    inputs = distribute_tensor(torch.ones(2, 4, requires_grad=True), mesh, [Replicate()])
    loss, other = ((inputs @ each).square().sum() for each in (param, idle))
    loss.backward(retain_graph=True)
    opt.step()
    other.backward()
    try:
        loss.backward()
    except RuntimeError as error:
        return str(error)
    return ""


def test_a_stale_graph(processes: Any) -> None:
    (text,) = processes(stale, 1)
    assert "modified by an inplace operation" in text
