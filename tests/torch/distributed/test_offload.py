"""FSDP2 with CPUOffloadPolicy: parameters in bfloat16 with the rest of their digits beside them."""

from __future__ import annotations

from typing import Any

from tests.torch.distributed.training import (
    STEPS,
    Values,
    assert_same_bits,
    loss_of,
    model,
    optimizer,
    sharded,
    torch,
    train,
    values,
)

SPLIT = {"rounding": "split", "state_dtype": "float32", "clip_value": 0.5}


def offloaded(name: str) -> Any:
    """The ends of training with the same data everywhere: sharded, by itself, and with masters."""
    from torch.distributed.fsdp import CPUOffloadPolicy

    ends = []
    for net in (
        sharded(torch.bfloat16, offload_policy=CPUOffloadPolicy(pin_memory=False)),
        model(torch.bfloat16),
    ):
        opt = optimizer(name, net.parameters(), **SPLIT)
        train(net, opt)
        ends.append(values(net, opt))
    return ends, with_masters(name)


def with_masters(name: str) -> Values:
    """float32 parameters, and a model in bfloat16 that gives their gradients."""
    net = model(torch.bfloat16)
    masters = model(torch.bfloat16).float()
    opt = optimizer(name, masters.parameters(), clip_value=0.5)
    for step in STEPS:
        net.zero_grad()
        loss_of(net, step).backward()
        for param, master in zip(net.parameters(), masters.parameters(), strict=True):
            master.grad = None if param.grad is None else param.grad.float()
        opt.step()
        net.load_state_dict({k: rounded(v) for k, v in masters.state_dict().items()})
    return values(masters, opt)


def rounded(value: Any) -> Any:
    """To bfloat16, halves away from zero."""
    return ((value.view(torch.int32) + 0x8000) >> 16).to(torch.int16).view(torch.bfloat16)


def joined(end: Values) -> Values:
    """What stands in parameters and beside them, as the float32 values that these are."""
    plain = {key: value for key, value in end.items() if ": trailing_bits" not in key}
    for key in end.keys() - plain.keys():
        name = key.removesuffix(": trailing_bits")
        low = end[key].view(torch.int16).squeeze(-1).int() & 0xFFFF
        high = end[name].view(torch.int16).int() - (low >> 15)
        plain[name] = (high << 16 | low).view(torch.float32)
    return plain


def test_split_trains_as_float32_masters(processes: Any) -> None:
    for (end, by_itself), masters in processes(offloaded, 2, "AdamW"):
        assert end["first.weight"].dtype == torch.bfloat16
        assert_same_bits(end, by_itself)
        assert_same_bits(joined(end), masters)
