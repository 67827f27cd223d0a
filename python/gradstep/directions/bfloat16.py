"""Newton and Schulz' iteration with products in bfloat16, which are PyTorch's."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gradstep.directions.by_torch import ByTorch
from gradstep.directions.newton_schulz import Coefficients, Memory, frobenius
from gradstep.directions.products import row_blocks

Array = NDArray[Any]

BY_TORCH = ByTorch()
ROWS = 256  # at least, of a symmetric product's blocks


class BFloat16NewtonSchulz:
    """As ``torch.optim.Muon`` has it, in memory that is held, and with half of each symmetric
    product.

    >>> matrix = np.array([[3.0, 0.0], [0.0, -1.0]], np.float32)
    >>> BFloat16NewtonSchulz().orthogonalize(matrix, (1.5, -0.5, 0.0), 20, 1e-7, 1.0)
    >>> matrix.round(1)
    array([[ 1.,  0.],
           [ 0., -1.]], dtype=float32)
    """

    def __init__(self) -> None:
        self._memory = Memory()

    def orthogonalize(
        self, matrix: Array, coefficients: Coefficients, steps: int, eps: float, factor: float
    ) -> None:
        """As :meth:`NewtonSchulz.orthogonalize`."""
        wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
        a, b, c = coefficients
        if least := max(frobenius(wide, BY_TORCH), eps):
            wide /= wide.dtype.type(least)
        whole, x, y = torch.from_numpy(wide), self._of("x", wide.shape), self._of("y", wide.shape)
        gram, polynomial = (self._of(name, (len(wide),) * 2) for name in ("gram", "polynomial"))
        blocks = row_blocks(len(gram), ROWS)
        of_x, of_y = ([(z[i:j], z[:j].T) for i, j in blocks] for z in (x, y))
        of_gram = [(gram[i:j, :j], gram[i:j], gram[:, :j]) for i, j in blocks]
        of_polynomial = [polynomial[i:j, :j] for i, j in blocks]
        x.copy_(whole)
        for _ in range(steps):
            for (rows, columns), (below, *_) in zip(of_x, of_gram, strict=True):
                torch.mm(rows, columns, out=below)
            mirror(gram, blocks)
            for of_one, below in zip(of_gram, of_polynomial, strict=True):
                torch.addmm(*of_one, beta=b, alpha=c, out=below)
            mirror(polynomial, blocks)
            torch.addmm(x, polynomial, x, beta=a, out=y)
            x, y, of_x, of_y = y, x, of_y, of_x
        whole.copy_(x)
        wide *= wide.dtype.type(factor)

    def _of(self, name: str, shape: tuple[int, ...]) -> torch.Tensor:
        bits = self._memory.of(name, shape, np.dtype(np.int16), "C")
        return torch.from_numpy(bits).view(torch.bfloat16)


def mirror(symmetric: torch.Tensor, blocks: list[tuple[int, int]]) -> None:
    """What these rows have below the diagonal, above it, too."""
    for begin, end in blocks[1:]:
        symmetric[:begin, begin:end] = symmetric[begin:end, :begin].T
