"""Did a step become slower? ``python -m benchmarks.regress results.json``

What is tracked is gradstep's time over the roofline's and over a pinned peer's, measured in the
same run: PyTorch's fused step, or plain NumPy where PyTorch has none. Of a loop it is the time of
the whole training step, over that with a pinned peer's optimizer, and over that with gradstep on
one thread. ``--update`` writes the results, several runs of them for an honest noise, into the
baseline.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.compare import UNCLEAR, Measured, compare, merged, passes, summary, table
from benchmarks.contestants import PINNED, ROOFLINE
from benchmarks.loops.loop import ONE_THREAD

BASELINE = Path(__file__).with_name("baseline.json")
VERSION_OF = {"torch fused": "torch", "scikit-learn": "scikit-learn", "numpy": "numpy"}
NOISY = 0.15
LEAST = 0.05  # a change below five percent is nobody's concern

Rows = dict[str, Measured]


def inverse(ratio: float, quartiles: Iterable[float]) -> Measured:
    """gradstep's time over another's, from the other's over gradstep's."""
    first, third = quartiles
    return Measured(1 / ratio, (third - first) / 2 / ratio)


def tracked(results: Mapping[str, Any]) -> Rows:
    """The ratios of a run: to the roofline, to one thread, and to the pinned peer's version."""
    versions = results["machine_info"]["gradstep"]["versions"]
    rows = {}
    for entry in results["benchmarks"]:
        info = entry["extra_info"]
        if "ratio_quartiles" not in info:
            continue
        over = {name: name for name in (ROOFLINE, ONE_THREAD) if name in info["ratio"]}
        peer = next((peer for peer in PINNED if peer in info["ratio"]), None)
        if peer is not None:
            version = versions.get(VERSION_OF[peer], "?").split("+")[0]
            over[peer] = f"{peer} {version}"
        for contestant, label in over.items():
            measured = inverse(info["ratio"][contestant], info["ratio_quartiles"][contestant])
            rows[f"{entry['name']} / {label}"] = measured
    return rows


def tracked_in(runs: Iterable[Mapping[str, Any]]) -> Rows:
    """The ratios of several runs together."""
    found: dict[str, list[Measured]] = {}
    for results in runs:
        for name, measured in tracked(results).items():
            found.setdefault(name, []).append(measured)
    return {name: merged(of_one) for name, of_one in found.items()}


def read(baseline: Mapping[str, Any], of_machine: str) -> Rows | None:
    """A machine's rows; None where the baseline does not know it."""
    known = baseline.get("machines", {}).get(of_machine)
    return known and {name: Measured(*pair) for name, pair in known["ratios"].items()}


def updated(
    baseline: Mapping[str, Any], of_machine: str, about: Mapping[str, Any], rows: Rows
) -> dict[str, Any]:
    """The baseline with these rows in place of the machine's; other rows and machines stay."""
    machines = dict(baseline.get("machines", {}))
    ratios = dict(machines.get(of_machine, {}).get("ratios", {}))
    for name, measured in rows.items():
        ratios[name] = [float(f"{measured.value:.5g}"), round(measured.noise, 4)]
    machines[of_machine] = {**about, "ratios": dict(sorted(ratios.items()))}
    return {**baseline, "machines": dict(sorted(machines.items()))}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "results", nargs="+", help="what --benchmark-json wrote, of one or more runs"
    )
    parser.add_argument("--baseline", type=Path, default=BASELINE)
    parser.add_argument("--update", action="store_true", help="write the results into the baseline")
    options = parser.parse_args()
    runs = [json.loads(Path(path).read_text("utf-8")) for path in options.results]
    names = {machine.name(results["machine_info"]) for results in runs}
    if len(names) > 1:
        parser.error(f"the results are of different machines: {sorted(names)}")
    of_machine, rows = names.pop(), tracked_in(runs)
    exists = options.baseline.exists()
    baseline = json.loads(options.baseline.read_text("utf-8")) if exists else {}
    own = runs[-1]["machine_info"]["gradstep"]
    if options.update:
        about = {key: own[key] for key in ("command", "compiler", "versions")}
        new = updated(baseline, of_machine, {**about, "runs": len(runs)}, rows)
        options.baseline.write_text(json.dumps(new, indent=1, ensure_ascii=False) + "\n", "utf-8")
        noisy = sum(measured.noise > NOISY for measured in rows.values())
        print(f"{options.baseline}: {len(rows)} ratios of {of_machine}")
        print(f"{noisy} of them are noisier than {NOISY:.0%} and will hide what is slower by less")
        return 0
    before = read(baseline, of_machine)
    if before is None:
        print(f"{options.baseline} has nothing of {of_machine}: nothing compared; see --update")
        return 1
    compared = compare(before, rows, LEAST, NOISY)
    print(f"before: {baseline['machines'][of_machine]['command']}\nnow:    {own['command']}\n")
    print("gradstep's time over that of the last word in each row, lower is better\n")
    print(table(compared))
    print(f"\n{of_machine}: {summary(compared)}")
    if any(row.verdict == UNCLEAR for row in compared):
        print(
            f"unclear: slower, by no more than this run's own noise of over {NOISY:.0%}; run again"
        )
    return int(not passes(compared))


if __name__ == "__main__":
    sys.exit(main())
