"""One contestant of one loop: ``python -m benchmarks.loops LOOP CONTESTANT``

Prints a line of JSON when it is ready, with the loss after the first steps or why it is left out,
and one with the seconds per step for every turn: for each line on standard input, which says how
many seconds it shall last, or so many as ``--turns`` says.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from itertools import repeat
from pathlib import Path
from typing import Any

from benchmarks.loops.cases import KINDS, every_loop, whole_loops
from benchmarks.loops.loop import Kind, Loop, Running

SETTLE_SECONDS = 0.05  # until threads of the one before have gone to sleep
WARM_UP = 0.3  # of a turn's seconds, not counted
DEFAULT_SECONDS = 0.3


def steps_for(step: Callable[[], object], seconds: float) -> float:
    """Seconds per step, over as many as it takes; one at the least."""
    count, start = 0, time.perf_counter()
    while count == 0 or time.perf_counter() - start < seconds:
        step()
        count += 1
    return (time.perf_counter() - start) / count


def turn(step: Callable[[], object], seconds: float) -> float:
    """Seconds per step of a warm loop."""
    time.sleep(SETTLE_SECONDS)
    steps_for(step, WARM_UP * seconds)
    return steps_for(step, seconds)


def begun(kind: Kind, loop: Loop, contestant: str, wheel: Path | None) -> Running | str:
    """The loop after the steps that losses are compared after, or why it cannot run here."""
    try:
        running = kind.start(loop, contestant, wheel)
    except ImportError as error:
        return f"{error.name or 'a module'} cannot be imported ({error})"
    except LookupError as error:
        return str(error)
    for _ in range(kind.checked):
        running.step()
    return running


def answers(
    loop: Loop, contestant: str, wheel: Path | None, turns: Iterator[float]
) -> Iterator[dict[str, Any]]:
    """What is printed."""
    running = begun(KINDS[loop.kind], loop, contestant, wheel)
    if isinstance(running, str):
        yield {"left_out": running}
        return
    yield {"loss": running.loss()}
    for seconds in turns:
        yield {"seconds": turn(running.step, seconds)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    loops = {str(loop): loop for loop in [*every_loop(), *whole_loops()]}
    parser.add_argument("loop", choices=loops, metavar="LOOP", help="; ".join(loops))
    parser.add_argument("contestant", metavar="CONTESTANT", help='like "numpy" or "gradstep"')
    parser.add_argument("--turns", type=int, help="instead of those that standard input asks for")
    parser.add_argument("--wheel", type=Path, help="the folder that a wheel was installed into")
    options = parser.parse_args()
    loop = loops[options.loop]
    kind = KINDS[loop.kind]
    known = [*kind.contestants(everything=True, tracked=False, wheel=True), *kind.bounds]
    if options.contestant not in known:
        parser.error(f"no contestant {options.contestant!r}, expected one of {', '.join(known)}")
    turns: Iterator[float] = map(float, sys.stdin)
    if options.turns is not None:
        turns = repeat(DEFAULT_SECONDS, options.turns)
    for answer in answers(loop, options.contestant, options.wheel, turns):
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
