"""DistributedDataParallel and ZeroRedundancyOptimizer: whole tensors in every process."""

from __future__ import annotations

from typing import Any

import pytest

from tests.torch.distributed.training import (
    OPTIONS,
    STEPS,
    alone,
    assert_close,
    assert_same_bits,
    caught,
    dist,
    front,
    model,
    my_part,
    optimizer,
    torch,
    train,
    values,
)


def replicated(dtype: Any = torch.float64) -> Any:
    ddp = torch.nn.parallel.DistributedDataParallel
    return ddp(model(dtype), find_unused_parameters=True, gradient_as_bucket_view=True)


def drawing() -> dict[str, Any]:
    return {
        "rounding": "stochastic",
        "state_dtype": "8bit",
        "ema_decay": 0.9,
        "ema_dtype": "bfloat16",
    }


def by_ddp() -> dict[str, Any]:
    ends = {}
    for name in OPTIONS:
        net = replicated()
        opt = optimizer(name, net.parameters(), clip_norm=0.2, skip_nonfinite=True)
        train(net, opt, STEPS, my_part())
        ends[name] = values(net, opt)
    net = replicated(torch.bfloat16)
    opt = optimizer("AdamW", net.parameters(), **drawing())
    train(net, opt, STEPS, my_part())
    return ends | {"drawn": values(net, opt)}


def test_ddp(processes: Any) -> None:
    """Where steps draw, processes draw alike."""
    first, *others = processes(by_ddp, 2)
    for name, end in first.items():
        for other in others:
            assert_same_bits(other[name], end)
        if name != "drawn":
            assert_close(end, alone(name, clip_norm=0.2))


def zero(net: Any, name: str, **options: Any) -> Any:
    made = torch.distributed.optim.ZeroRedundancyOptimizer
    cls = getattr(front, name)
    return made(net.parameters(), optimizer_class=cls, **OPTIONS[name] | options)


def by_zero(names: list[str], as_views: bool) -> None:
    for name in names:
        net, other = replicated(), replicated()
        opt = zero(net, name, parameters_as_bucket_view=as_views)
        plain = optimizer(name, other.parameters())
        train(net, opt, STEPS, my_part())
        train(other, plain, STEPS, my_part())
        assert_same_bits(parameters(net), parameters(other))
        opt.consolidate_state_dict(to=0)
        saved = [opt.state_dict() if dist.get_rank() == 0 else None]
        dist.broadcast_object_list(saved, src=0)
        new = optimizer(name, replicated().parameters())
        new.load_state_dict(saved[0])
        assert_same_state(new, plain)
        later = zero(net, name, parameters_as_bucket_view=as_views)
        later.load_state_dict(saved[0])
        more = range(STEPS.stop, STEPS.stop + 3)
        train(net, later, more, my_part())
        train(other, plain, more, my_part())
        assert_same_bits(parameters(net), parameters(other))


def parameters(net: Any) -> dict[str, Any]:
    return {name: param.detach().clone() for name, param in net.named_parameters()}


def assert_same_state(opt: Any, other: Any) -> None:
    assert opt.steps == other.steps or type(opt) is front.SGD  # whose state does not tell
    state, wanted = opt.state_dict()["state"], other.state_dict()["state"]
    assert state.keys() == wanted.keys()
    for i, entry in state.items():
        assert_same_bits(entry, wanted[i])


def test_zero_redundancy_optimizer(processes: Any) -> None:
    """As without it to the bit, as are its state put together and the steps after loading that."""
    processes(by_zero, 2, list(OPTIONS), False)


def of_few_tensors() -> list[float]:
    param = torch.nn.Parameter(torch.ones(2))
    made = torch.distributed.optim.ZeroRedundancyOptimizer
    opt = made([param], optimizer_class=front.SGD, lr=0.5)
    param.grad = torch.ones(2)
    opt.step()
    return param.tolist()


def test_a_process_without_parameters(processes: Any) -> None:
    assert processes(of_few_tensors, 2) == [[0.5, 0.5]] * 2


NEED_ALL: tuple[dict[str, Any], ...] = ({"clip_norm": 1.0}, {"skip_nonfinite": True})
ALONE = [
    f"{option} needs all gradients, of which ZeroRedundancyOptimizer or FullyShardedDataParallel "
    "leaves this optimizer a part; leave it out, and limit or check them before the step: "
    "torch.nn.utils.clip_grad_norm_, or the clip_grad_norm_ of FullyShardedDataParallel"
    for option in ("clip_norm", "skip_nonfinite")
]


def refused() -> list[str]:
    net = replicated()
    texts = [caught(zero, net, "AdamW", **option) for option in NEED_ALL]
    opt = zero(net, "AdamW", clip_tensor_norm=0.1)
    train(net, opt, [0], my_part())
    before = parameters(net)
    for option in NEED_ALL:
        opt.param_groups[0].update(option)
        texts.append(caught(opt.step))
        opt.param_groups[0].update(dict.fromkeys(option))
    assert_same_bits(parameters(net), before)
    return texts


def test_what_needs_all_gradients_is_refused(processes: Any) -> None:
    assert processes(refused, 2) == [ALONE * 2] * 2


def flattened(use_orig_params: bool) -> Any:
    """By the FSDP that was before fully_shard, whose parameters are no DTensors."""
    from torch.distributed.fsdp import FullyShardedDataParallel

    net = FullyShardedDataParallel(
        model(), use_orig_params=use_orig_params, device_id=torch.device("cpu")
    )
    texts = [caught(optimizer, "AdamW", net.parameters(), **option) for option in NEED_ALL]
    texts.append(caught(optimizer, "AdamW", net.parameters(), cautious=True))
    train(net, optimizer("AdamW", net.parameters()), STEPS, my_part())
    with FullyShardedDataParallel.summon_full_params(net):
        return texts, parameters(net.module)


def with_zeros() -> dict[str, Any]:
    """What one process makes of whole batches, with zeros in the place of no gradient."""
    net = model()

    def fill(_: int) -> None:
        for param in net.parameters():
            param.grad = torch.zeros_like(param) if param.grad is None else param.grad

    train(net, optimizer("AdamW", net.parameters()), before=fill)
    return parameters(net)


@pytest.mark.parametrize("use_orig_params", [True, False])
def test_flattened_parameters(use_orig_params: bool, processes: Any) -> None:
    for texts, end in processes(flattened, 2, use_orig_params):
        *of_all, of_whole = texts
        assert of_all == ALONE
        assert of_whole == (
            "cautious needs whole tensors, and each process has a part of these parameters; leave "
            "it out"
        )
        assert_close(end, with_zeros())
