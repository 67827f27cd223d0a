"""Products by PyTorch, of arrays as they are."""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray

from gradstep.directions.products import symmetric

Array = NDArray[Any]


class ByTorch:
    def multiply(self, left: Array, right: Array, out: Array) -> None:
        torch.mm(torch.from_numpy(left), torch.from_numpy(right), out=torch.from_numpy(out))

    def gram(self, matrix: Array, out: Array) -> None:
        symmetric(self, matrix, matrix.T, out)

    def view(self, array: Array) -> Array:
        owned: Array = torch.from_numpy(array).numpy()
        return owned
