"""Results as Markdown: ``pytest benchmarks --benchmark-json=F && python -m benchmarks.report F``"""

from __future__ import annotations

import argparse
import json
from typing import Any

PEERS = ("torch fused", "torch foreach", "torch for-loop", "numpy")


def cell(info: dict[str, Any], name: str) -> str:
    if name not in info["median_us"]:
        return ""
    return f"{info['median_us'][name]:,.1f} ({info['ratio'][name]:.2f})"


def table(title: str, rows: list[tuple[str, dict[str, Any]]]) -> list[str]:
    """µs per step, and in brackets how many times gradstep's; the roofline as its share of ours."""
    names = [name for name in PEERS if any(name in info["median_us"] for _, info in rows)]
    lines = [f"| {title} | gradstep | " + " | ".join(names) + " | of the roofline |"]
    lines.append("|" + "---|" * (len(names) + 3))
    for label, info in rows:
        share = f"{info['ratio']['roofline']:.2f}" if "roofline" in info["ratio"] else ""
        cells = [f"{info['median_us']['gradstep']:,.1f}", *(cell(info, name) for name in names)]
        lines.append(f"| {label} | " + " | ".join(cells) + f" | {share} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", help="what --benchmark-json wrote")
    with open(parser.parse_args().results) as file:
        results = json.load(file)
    by_test: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for entry in results["benchmarks"]:
        test, label = entry["name"].rstrip("]").split("[", 1)
        by_test.setdefault(test, []).append((label, entry["extra_info"]))
    machine = results["machine_info"]
    print(f"{machine['cpu'].get('brand_raw', machine['machine'])}, {machine['gradstep']}\n")
    print("\n".join(table("models, float32", by_test.get("test_step", []))), end="\n\n")
    rows = [
        (f"{label}, {info['bytes_per_element']} bytes", info)
        for label, info in by_test.get("test_every_optimizer", [])
    ]
    print("\n".join(table("33.5 M float32, bytes moved per element", rows)))


if __name__ == "__main__":
    main()
