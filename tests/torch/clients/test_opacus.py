"""Opacus: it clips and blurs the gradient of each example, then hands over to the optimizer."""

from __future__ import annotations

import pytest

from tests.torch.clients.training import (
    Class,
    Tensors,
    assert_stepped,
    assert_trains_alike,
    examples,
    network,
    torch,
    values,
)

opacus = pytest.importorskip("opacus", reason="not installed: pip install '.[clients]'")
pytestmark = [
    pytest.mark.filterwarnings("ignore:Secure RNG turned off"),  # seeded on purpose
    pytest.mark.filterwarnings("ignore:Full backward hook is firing"),  # how it sees examples
]


def train(optimizer_class: Class) -> Tensors:
    torch.manual_seed(0)
    data = torch.utils.data.TensorDataset(*examples())
    module, optimizer, loader = opacus.PrivacyEngine().make_private(
        module=(net := network()),
        optimizer=optimizer_class(net.parameters(), lr=0.05, momentum=0.9),
        data_loader=torch.utils.data.DataLoader(data, batch_size=8),
        noise_multiplier=0.8,
        max_grad_norm=1.0,
        noise_generator=torch.Generator().manual_seed(4),
    )
    for _ in range(3):
        for x, y in loader:
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(module(x), y).backward()
            optimizer.step()
    assert_stepped(optimizer.original_optimizer, optimizer_class, 3 * len(loader))
    return values(net)


def test_trains_as_with_torch() -> None:
    assert_trains_alike(train, "SGD")
