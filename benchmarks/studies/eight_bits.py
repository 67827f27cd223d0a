"""Which 8-bit format keeps the state of Adam best? ``python -m benchmarks.studies.eight_bits``

gradstep's, variants of it, the dynamic map (Dettmers et al. 2021, arXiv:2110.02861; bitsandbytes
and torchao) and companding (FlashOptim, arXiv:2602.23349), written here from their definitions:

- how far m/√v is from float32's, stored once, and kept in 8 bits from the first step on. All see
  the gradients of one training in float32; the length of steps tells an error with a direction;
- the loss of training with it on digits, whose steps it changes: `narrow_training` has more;
- bytes per element, and the time that NumPy takes to write and read it.

gradstep dithers: it rounds up or down, so that what is less than a code adds up on average. Beside
it the same formats rounded to nearest, by independent draws, and with fewer bits of mantissa.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import count
from typing import NamedTuple

import numpy as np

from benchmarks.studies.small_models import CHARACTERS, DIGITS, Array, Data, Model, gradients, loss
from gradstep.arrays.parts import whole
from gradstep.method.rows import draws
from gradstep.optimizer.storage import LEAST_FOR_8BIT
from gradstep.reference.draws import FIRST_SLOT, Drawn, Draws, Halfway, OfRun
from gradstep.reference.packing import PACKINGS

LR, BETA1, BETA2, EPS = 3e-4, 0.9, 0.999, 1e-8
LOOKS = 100, 600

Through = Callable[[Array], Array]  # values as they come back


class Scheme(NamedTuple):
    moments: Through
    squares: Through
    bytes_each: float  # of both


Source = Callable[[Array], Drawn]  # what rounding draws for these values


def nearest(values: Array) -> Drawn:
    return Halfway()


def dithered(slot: int) -> Source:
    """As gradstep does it, in another step each time."""
    steps = count(1)

    def drawn(values: Array) -> Drawn:
        of_step = Draws(draws(0, next(steps)), 0, whole(values))
        return OfRun(of_step, FIRST_SLOT + slot, slice(0, values.size))

    return drawn


class Independent(Halfway):
    """Draws of which none says anything about another."""

    def __init__(self, rng: np.random.Generator, elements: int) -> None:
        self._drawn = rng.integers(0, 1 << 32, elements, np.uint32)

    def dithered(self, numbered_in_memory: bool = False) -> Array:
        return self._drawn


def independent(slot: int) -> Source:
    rng = np.random.default_rng(slot)
    return lambda values: Independent(rng, values.size)


def ours(name: str, source: Source) -> Through:
    packing = PACKINGS[name]

    def through(values: Array) -> Array:
        with np.errstate(all="ignore"):
            stored, beside = packing.pack(values.reshape(-1), source(values))
        return packing.unpack(stored, beside).reshape(values.shape)

    return through


def groups_of(values: Array, size: int) -> tuple[Array, Array]:
    """In rows, the last one filled with zeros, and the largest magnitude of each."""
    flat = values.reshape(-1)
    rows = np.pad(flat, (0, -flat.size % size)).reshape(-1, size)
    return rows, np.abs(rows).max(axis=1, keepdims=True)


def back(rows: Array, like: Array) -> Array:
    return rows.reshape(-1)[: like.size].reshape(like.shape).astype(np.float32)


def share_of(rows: Array, largest: Array) -> Array:
    return np.divide(rows, largest, out=np.zeros_like(rows), where=largest > 0)


def e5m3(drawn: bool) -> Through:
    """Squares with 5 bits of exponent and 3 of mantissa, relative to the largest of 256, which is
    exact; never zero above zero."""
    dropped, codes = 20, 256
    lowest = (127 << 3) - codes + 1  # the highest code is 1
    half, rng = 1 << (dropped - 1), np.random.default_rng(0)

    def through(values: Array) -> Array:
        rows, largest = groups_of(values, 256)
        bits = share_of(rows, largest).view(np.uint32)
        up = rng.integers(0, 1 << dropped, bits.shape, np.uint32) if drawn else np.uint32(half)
        kept = np.clip((bits + up) >> np.uint32(dropped), lowest + 1, lowest + codes - 1)
        share = (kept.astype(np.uint32) << np.uint32(dropped)).view(np.float32)
        return back(np.where(rows == largest, 1, share) * (rows > 0) * largest, values)

    return through


def dynamic_map(signed: bool) -> Array:
    """Seven decades, each cut into twice as many equal parts as the one below; 0 and 1."""
    found = [0.0, 1.0]
    for decade in range(7):
        parts = 2**decade if signed else 2 ** (decade + 1)
        edges = np.linspace(0.1, 1.0, parts + 1) * 10.0 ** (decade - 6)
        middles = (edges[1:] + edges[:-1]) / 2
        found += [*middles, *(-middles if signed else ())]
    return np.sort(np.array(found, np.float32))


def dynamic(signed: bool) -> Through:
    codes = dynamic_map(signed)
    between = (codes[1:] + codes[:-1]) / 2

    def through(values: Array) -> Array:
        rows, largest = groups_of(values, 256)
        return back(codes[np.searchsorted(between, share_of(rows, largest))] * largest, values)

    return through


def companded_moments(values: Array) -> Array:
    rows, largest = groups_of(values, 32)
    scale = largest.astype(np.float16).astype(np.float32)
    share = share_of(rows, scale)
    code = np.clip(np.rint(127 * 2 * share / (1 + np.abs(share))), -127, 127) / 127
    return back(code / (2 - np.abs(code)) * scale, values)


def companded_squares(values: Array) -> Array:
    rows, largest = groups_of(np.sqrt(values), 32)
    scale = largest.astype(np.float16).astype(np.float32)
    code = np.clip(np.rint(255 * share_of(rows, scale)), 0, 255) / 255
    return back((code * scale) ** 2, values)


def schemes() -> dict[str, Scheme]:
    in_blocks, in_groups = 2 * (1 + 4 / 256), 2 * (1 + 2 / 32)
    both = "moments8", "squares8"

    def eight(moments: Source, squares: Source) -> Scheme:
        return Scheme(ours(both[0], moments), ours(both[1], squares), in_blocks)

    dithered_moments = ours(both[0], dithered(0))
    bfloat16 = "bfloat16 dithered"
    return {
        "float32": Scheme(np.copy, np.copy, 8),
        "gradstep": eight(dithered(0), dithered(1)),
        "drawn independently": eight(independent(0), independent(1)),
        "squares to nearest": eight(dithered(0), nearest),
        "both to nearest": eight(nearest, nearest),
        "squares E5M3": Scheme(dithered_moments, e5m3(True), in_blocks),
        "squares E5M3, to nearest": Scheme(dithered_moments, e5m3(False), in_blocks),
        "bfloat16": Scheme(ours(bfloat16, dithered(0)), ours(bfloat16, dithered(1)), 4),
        "bfloat16, to nearest": Scheme(ours("bfloat16", nearest), ours("bfloat16", nearest), 4),
        "dynamic map": Scheme(dynamic(True), dynamic(False), in_blocks),
        "companding": Scheme(companded_moments, companded_squares, in_groups),
    }


class Adam:
    """Of plain NumPy, whose state goes through a scheme after every step."""

    def __init__(self, params: list[Array], scheme: Scheme) -> None:
        self.scheme, self.t = scheme, 0
        self.state = [(np.zeros_like(p), np.zeros_like(p)) for p in params]

    def directions(self, grads: list[Array]) -> list[Array]:
        self.t += 1
        b1, b2 = np.float32(BETA1), np.float32(BETA2)
        found = []
        for i, (g, (m, v)) in enumerate(zip(grads, self.state, strict=True)):
            new = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
            found.append(self.direction(*new))
            if g.size >= LEAST_FOR_8BIT:
                new = self.scheme.moments(new[0]), self.scheme.squares(new[1])
            self.state[i] = new
        return found

    def direction(self, m: Array, v: Array) -> Array:
        root = np.sqrt(v) / np.float32(np.sqrt(1 - BETA2**self.t))
        return m / np.float32(1 - BETA1**self.t) / (root + np.float32(EPS))


def train(model: Model, data: Data, scheme: Scheme, seed: int) -> float:
    """The loss of all examples in the end."""
    params, rng = model.weights(seed), np.random.default_rng(100 + seed)
    adam = Adam(params, scheme)
    for _ in range(model.steps):
        grads = gradients(params, data, model.batch, rng)
        for p, u in zip(params, adam.directions(grads), strict=True):
            p -= np.float32(LR) * u
    return loss(params, data)


def errors(model: Model, data: Data) -> dict[str, list[float]]:
    """Of every scheme at each look: the error of m/√v stored once, and kept; and how long steps are
    by what is kept. All of the largest matrix, beside float32."""
    params, rng = model.weights(0), np.random.default_rng(100)
    watched = max(range(len(params)), key=lambda i: params[i].size)
    exact = Adam(params, schemes()["float32"])
    kept = {name: Adam([params[watched]], scheme) for name, scheme in schemes().items()}
    found: dict[str, list[float]] = {name: [] for name in kept}
    for t in range(1, max(LOOKS) + 1):
        grads = gradients(params, data, model.batch, rng)
        for p, u in zip(params, exact.directions(grads), strict=True):
            p -= np.float32(LR) * u
        m, v = exact.state[watched]
        u = exact.direction(m, v)
        for name, adam in kept.items():
            adam.directions([grads[watched]])
            if t in LOOKS:
                once = exact.direction(adam.scheme.moments(m), adam.scheme.squares(v))
                long = exact.direction(*adam.state[0])
                lengths = [float(np.linalg.norm(x)) for x in (once - u, long - u, long)]
                found[name] += [length / float(np.linalg.norm(u)) for length in lengths]
    return found


def nanoseconds(scheme: Scheme, elements: int = 2**18) -> float:
    """Of NumPy, for an element of both arrays: the least, as others work on the machine."""
    values = np.random.default_rng(0).normal(size=elements).astype(np.float32)
    took = []
    for _ in range(15):
        start = time.process_time()
        scheme.moments(values)
        scheme.squares(values * values)
        took.append(time.process_time() - start)
    return 1e9 * min(took) / elements


def table(model: Model, seeds: int) -> Iterator[str]:
    """With final losses of so many seeds."""
    looks = [f"step {t}: error stored once | kept | length of steps" for t in LOOKS]
    losses = [f"final loss, {seeds} seeds"] if seeds else []
    data = model.data()
    yield f"\n| {' | '.join([model.name, *looks, *losses])} |"
    yield "|" + "---|" * (1 + 3 * len(LOOKS) + len(losses))
    for name, of_one in errors(model, data).items():
        ends = [train(model, data, schemes()[name], seed) for seed in range(seeds)]
        cells = [f"{value:.3f}" for value in of_one]
        cells += [", ".join(f"{end:.4g}" for end in ends)] if seeds else []
        yield f"| {' | '.join([name, *cells])} |"


def main() -> None:
    print("| | bytes per element | ns per element in NumPy |\n|---|---|---|")
    for name, scheme in schemes().items():
        print(f"| {name} | {scheme.bytes_each:.3f} | {nanoseconds(scheme):.0f} |")
    for model, seeds in ((DIGITS, 3), (CHARACTERS, 0)):
        for line in table(model, seeds):
            print(line, flush=True)


if __name__ == "__main__":
    main()
