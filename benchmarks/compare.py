"""Measurements beside those of a baseline: what is worse by more than its noise."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median

WORSE, UNCLEAR, SAME, BETTER, NEW, MISSING = VERDICTS = (
    "worse",
    "unclear",
    "same",
    "better",
    "new",
    "missing",
)


@dataclass(frozen=True)
class Measured:
    """A value, lower is better, and how far it is uncertain, as a share of itself."""

    value: float
    noise: float = 0.0


@dataclass(frozen=True)
class Row:
    """One measurement now and before, the change as a share, and how much of it was allowed."""

    name: str
    before: float | None
    now: float | None
    change: float
    allowed: float
    verdict: str


def merged(runs: list[Measured]) -> Measured:
    """Several runs of one measurement: their median, with the largest noise or half the range."""
    values = [run.value for run in runs]
    middle = median(values)
    apart = (max(values) - min(values)) / 2 / middle
    return Measured(middle, max(apart, *(run.noise for run in runs)))


def compare(
    before: Mapping[str, Measured],
    now: Mapping[str, Measured],
    least: float = 0.0,
    noisy: float = math.inf,
) -> list[Row]:
    """A row for every name of either, worst first.

    A change counts from the sum of both noises on, and from no less than `least`. Where only the
    noise of `now` excuses it, and that is more than `noisy`, it is unclear.
    """
    rows = []
    for name in {**before, **now}:
        if name not in now:
            rows.append(Row(name, before[name].value, None, 0.0, 0.0, MISSING))
        elif name not in before:
            rows.append(Row(name, None, now[name].value, 0.0, 0.0, NEW))
        else:
            old, new = before[name], now[name]
            change = new.value / old.value - 1
            allowed = max(least, old.noise + new.noise)
            verdict = WORSE if change > allowed else BETTER if change < -allowed else SAME
            if verdict == SAME and new.noise > noisy and change > max(least, old.noise):
                verdict = UNCLEAR
            rows.append(Row(name, old.value, new.value, change, allowed, verdict))
    return sorted(rows, key=lambda row: row.change, reverse=True)


def passes(rows: list[Row]) -> bool:
    """Whether something was compared, and nothing of it is worse or unclear."""
    verdicts = {row.verdict for row in rows}
    return not verdicts & {WORSE, UNCLEAR} and bool(verdicts & {SAME, BETTER})


def table(rows: list[Row], form: str = "#.4g") -> str:
    """The rows as aligned text."""

    def number(value: float | None) -> str:
        return "-" if value is None else format(value, form)

    cells = [("verdict", "before", "now", "change", "allowed", "")]
    for row in rows:
        both = row.before is not None and row.now is not None
        change = f"{100 * row.change:+.2f} %" if both else "-"
        allowed = f"{100 * row.allowed:.2f} %" if both else "-"
        cells.append((row.verdict, number(row.before), number(row.now), change, allowed, row.name))
    widths = [max(len(line[i]) for line in cells) for i in range(5)]
    return "\n".join(
        "  ".join([line[0].ljust(widths[0]), *(line[i].rjust(widths[i]) for i in range(1, 5))])
        + f"  {line[5]}".rstrip()
        for line in cells
    )


def summary(rows: list[Row]) -> str:
    """How many there are of each verdict."""
    verdicts = [row.verdict for row in rows]
    counts = [(verdicts.count(verdict), verdict) for verdict in VERDICTS]
    return ", ".join(f"{count} {verdict}" for count, verdict in counts if count)
