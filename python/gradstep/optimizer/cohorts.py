"""Tensors that have taken the same number of steps, and so share their coefficients.

Bias corrections depend on how often a tensor was updated, and one whose gradient is None stays
behind. As long as none does, every group is one cohort.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gradstep.optimizer.group import Group


@dataclass(slots=True)
class Cohort:
    group: Group
    count: int  # completed steps of each member
    members: list[int]  # positions of the tensors
    rule: str = ""


def advance(cohorts: list[Cohort], absent: Sequence[int]) -> bool:
    """Count a step for all tensors but those in `absent`; True if cohorts had to be split."""
    staying = set(absent)
    split = False
    for position, cohort in reversed(list(enumerate(cohorts))):
        behind = [i for i in cohort.members if i in staying]
        if len(behind) == len(cohort.members):
            continue
        if behind:
            cohort.members = [i for i in cohort.members if i not in staying]
            cohorts.insert(position + 1, Cohort(cohort.group, cohort.count, behind))
            split = True
        cohort.count += 1
    return split


def regroup(
    groups: Sequence[Group], counts: Mapping[str, int], positions: Mapping[str, int]
) -> list[Cohort]:
    """Cohorts from the completed steps and the position of every tensor, by name."""
    cohorts: dict[tuple[int, int], Cohort] = {}
    for number, group in enumerate(groups):
        for name in group.names:
            count = counts[name]
            cohort = cohorts.setdefault((number, count), Cohort(group, count, []))
            cohort.members.append(positions[name])
    return list(cohorts.values())
