"""Tensor parallelism, by itself and under FSDP2, with parameters that are no DTensors beside."""

from __future__ import annotations

from typing import Any

import pytest

from tests.torch.distributed.training import (
    OPTIONS,
    STEPS,
    alone,
    assert_close,
    assert_same_bits,
    dist,
    model,
    optimizer,
    train,
    values,
)

LIMITS: dict[str, dict[str, Any]] = {"plain": {}, "limited": {"clip_norm": 0.2}}


def parallel(mesh: Any) -> Any:
    from torch.distributed.tensor import Shard
    from torch.distributed.tensor.parallel import (
        ColwiseParallel,
        RowwiseParallel,
        SequenceParallel,
        parallelize_module,
    )

    plan = {
        "first": ColwiseParallel(output_layouts=Shard(0)),
        "norm": SequenceParallel(sequence_dim=0),
        "last": RowwiseParallel(input_layouts=Shard(0)),
    }
    return parallelize_module(model(), mesh, plan)


def by_tensors() -> dict[str, Any]:
    mesh = dist.device_mesh.init_device_mesh("cpu", (dist.get_world_size(),))
    ends = {}
    for name in OPTIONS:
        for limit, options in LIMITS.items():
            net = parallel(mesh)
            opt = optimizer(name, net.parameters(), **options)
            train(net, opt)
            assert net.norm.weight.grad.placements[0].is_partial()
            ends[f"{name} {limit}"] = values(net, opt)
    return ends


def by_both() -> dict[str, Any]:
    from torch.distributed.fsdp import fully_shard

    names = ("data", "tensors")
    mesh = dist.device_mesh.init_device_mesh("cpu", (2, 2), mesh_dim_names=names)
    ends = {}
    for limit, options in LIMITS.items():
        net = fully_shard(parallel(mesh["tensors"]), mesh=mesh["data"])
        opt = optimizer("AdamW", net.parameters(), **options)
        train(net, opt, STEPS, (mesh["data"].get_local_rank(), 2))
        assert len({param.device_mesh.ndim for param in net.parameters()}) == 2
        ends[f"AdamW {limit}"] = values(net, opt)
    return ends


@pytest.mark.parametrize(("work", "world"), [(by_tensors, 2), (by_both, 4)])
def test_as_one_process(work: Any, world: int, processes: Any) -> None:
    first, *others = processes(work, world)
    for name, end in first.items():
        kind, limit = name.split()
        assert_close(end, alone(kind, **LIMITS[limit]))
        for other in others:
            assert_same_bits(other[name], end)
