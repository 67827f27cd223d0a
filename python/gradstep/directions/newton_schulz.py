"""Newton and Schulz' iteration: a matrix with all its singular values near 1."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.arrays.memory import memory_order
from gradstep.directions.products import BY_NUMPY, Products, symmetric

Array = NDArray[Any]
Coefficients = tuple[float, float, float]

OBLONG = 1.5  # columns per row from which several iterations at once are cheaper
MOST_GROWTH = 2000.0  # of what rounding leaves in G: 3 iterations of Muon's own coefficients


def as_matrix(array: Array) -> Array:
    """A contiguous array as a view of two axes, its first and all others together.

    In Fortran's order the columns come in another order than in C's, which matters to nothing
    that is computed here.
    """
    return array.reshape(array.shape[0], -1, order=memory_order(array))


class Memory:
    """Arrays for what lies between, in memory that is held; one of each name at a time."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, np.dtype[Any]], Array] = {}

    def of(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any], order: Any) -> Array:
        """What is there is as large as the largest so far."""
        size = math.prod(shape)
        held = self._held.get((name, dtype))
        if held is None or held.size < size:
            held = self._held[name, dtype] = np.empty(size, dtype)
        return held[:size].reshape(shape, order=order)

    def like(self, array: Array, name: str = "") -> Array:
        return self.of(name, array.shape, array.dtype, memory_order(array))


class NewtonSchulz:
    """The iteration in memory that is held, for matrices of any shapes.

    Of a matrix that is much longer than wide, several iterations together are cheaper: each
    multiplies X by a polynomial P of G = XXᵀ, and leaves P·G·P in the place of G. So X itself is
    multiplied once, by the product of these polynomials. All of them commute and are symmetric.

    >>> matrix = np.array([[3.0, 0.0], [0.0, -0.1]], np.float32)
    >>> newton_schulz = NewtonSchulz()
    >>> newton_schulz.orthogonalize(matrix, (1.5, -0.5, 0.0), 20, 1e-7, 1.0)
    >>> matrix.round(3)
    array([[ 1.,  0.],
           [ 0., -1.]], dtype=float32)
    """

    def __init__(self, products: Products = BY_NUMPY) -> None:
        self._products = products
        self._memory = Memory()

    def orthogonalize(
        self, matrix: Array, coefficients: Coefficients, steps: int, eps: float, factor: float
    ) -> None:
        """X ← X/max(‖X‖, ε), then so often X ← (a + b·XXᵀ + c·(XXᵀ)²)·X; `matrix` ← factor·X.

        A zero matrix stays zero. Where something is not finite, or `matrix` is huge, not all of the
        result is.
        """
        wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
        x, y = wide, self._memory.like(wide, "next")
        norm = frobenius(wide, self._products)
        if least := max(norm, eps):
            x /= wide.dtype.type(least)
        for count in together(wide.shape, coefficients, steps):
            self._products.multiply(self._polynomial_of(x, coefficients, count), x, y)
            x, y = y, x
        np.multiply(x, wide.dtype.type(factor), out=wide)

    def _polynomial_of(self, x: Array, coefficients: Coefficients, count: int) -> Array:
        """What so many iterations multiply X by."""
        products = self._products
        a, b, c = map(x.dtype.type, coefficients)
        gram, polynomial, product, between = (
            self._memory.of(name, (len(x),) * 2, x.dtype, "C")
            for name in ("gram", "polynomial", "product", "between")
        )
        products.gram(x, gram)
        for i in range(count):
            symmetric(products, gram, gram, polynomial)
            polynomial *= c
            np.multiply(gram, b, out=between)
            polynomial += between
            polynomial.reshape(-1)[:: len(gram) + 1] += a
            if i + 1 < count:
                symmetric(products, polynomial, gram, between)
                symmetric(products, between, polynomial, gram)
            if i == 0:
                polynomial, product = product, polynomial
            else:
                symmetric(products, polynomial, product, between)
                product, between = between, product
        return product


def together(shape: tuple[int, ...], coefficients: Coefficients, steps: int) -> list[int]:
    """How many iterations are taken at once, again and again.

    Rounding leaves an error in G where X has small singular values. Each iteration multiplies these
    by a, and their error in G by a²; a new XXᵀ has it as small as in the beginning.
    """
    rows, columns = shape
    most = 1
    if columns >= OBLONG * rows:
        growth = 2 * math.log(max(abs(coefficients[0]), 1.0))
        most = max(1, int(math.log(MOST_GROWTH) / growth)) if growth else steps
    times = -(-steps // max(1, most))
    return [steps * (i + 1) // times - steps * i // times for i in range(times)]


def frobenius(matrix: Array, products: Products) -> float:
    """The root of the sum of squares; where that overflows or underflows, of scaled ones."""
    values = matrix.reshape(-1, order=memory_order(matrix))
    total = products.squares(values)
    info = np.finfo(matrix.dtype)
    if values.size and not float(info.tiny) / float(info.eps) < total < np.inf:
        largest = max(float(values.max()), -float(values.min()))
        if 0 < largest < np.inf:
            scaled = values / matrix.dtype.type(largest)
            return math.sqrt(products.squares(scaled)) * largest
    return math.sqrt(total)
