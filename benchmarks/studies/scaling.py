"""The time of a step on R ranks, from measured bandwidths: ``python -m benchmarks.studies.scaling``

Of AdamW over N float32 parameters. On one machine ranks share its memory: what all of them send,
8·N·(R−1) bytes, passes through it at the rate that 2 ranks reach together; the update, 28·N bytes,
takes as long as in one process with all cores. Over a network of full-duplex links each rank has a
machine of its own, like the one measured: a step takes 8·N·(R−1)/R bytes over the link, the sum of
N elements that arrive, the update of N/R, and a latency for each message that it sends.

Give what ``many_processes`` has measured, in milliseconds of 33.5 M elements.
"""

from __future__ import annotations

import argparse
from math import ceil

from gradstep.distributed.runs import most_elements
from gradstep.distributed.spreading import MOST
from gradstep.distributed.sums import STAGED, UNDER_WAY

N_MEASURED = 2**25


def run_of(ranks: int) -> int:
    """The bytes of a message of gradients."""
    return 4 * most_elements(STAGED, ranks)


def memory_of(ranks: int, elements: int) -> float:
    """The bytes of a rank's state, and of sums and what arrives where there are several."""
    exchanged = 4 * elements / ranks + UNDER_WAY * ranks * run_of(ranks) if ranks > 1 else 0
    return 8 * elements / ranks + exchanged


class Model:
    def __init__(self, exchange: float, update: float, latency: float) -> None:
        self.through_memory = 8 * N_MEASURED / (exchange * 1e-3)  # bytes per second of all ranks
        self.update = update * 1e-3 / N_MEASURED  # seconds per element
        self.latency = latency * 1e-6

    def on_one_machine(self, ranks: int, elements: int) -> float:
        return 8 * elements * (ranks - 1) / self.through_memory + self.update * elements

    def over_links(self, ranks: int, elements: int, link: float) -> float:
        """Where `link` is in bytes per second, each way."""
        share = (ranks - 1) / ranks
        travel = 8 * elements * share / link
        add = 4 * elements * share / self.through_memory
        rounds = [4 * elements / ranks / size for size in (run_of(ranks), 4 * MOST)]
        messages = (ranks - 1) * sum(map(ceil, rounds))
        return travel + add + self.update * elements / ranks + messages * self.latency


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--exchange", type=float, required=True, help="of 2 ranks, ms")
    parser.add_argument("--update", type=float, required=True, help="of one process, ms")
    parser.add_argument("--latency", type=float, default=2.0, help="of a message, µs")
    args = parser.parse_args()
    model = Model(args.exchange, args.update, args.latency)

    print(f"one machine, {N_MEASURED:,} elements: ranks and ms")
    print("  ".join(f"{r}: {model.on_one_machine(r, N_MEASURED) * 1e3:.1f}" for r in (1, 2, 4)))
    print("\na machine for each rank: ms per step; MB of each rank beside parameters and gradients")
    print(f"{'elements':>15} {'Gbit/s':>7}" + "".join(f"{r:>10}" for r in RANKS))
    for elements in (N_MEASURED, 10**9, 10**10):
        for gigabits in (10, 100, 400):
            link = gigabits / 8 * 1e9
            times = [model.over_links(r, elements, link) * 1e3 for r in RANKS]
            print(f"{elements:>15,} {gigabits:>7}" + "".join(f"{t:>10,.1f}" for t in times))
        memory = [memory_of(r, elements) / 1e6 for r in RANKS]
        print(f"{'':>15} {'MB':>7}" + "".join(f"{m:>10,.0f}" for m in memory))


RANKS = (1, 2, 4, 16, 64, 512, 4096)

if __name__ == "__main__":
    main()
