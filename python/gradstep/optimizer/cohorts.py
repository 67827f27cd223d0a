"""Tensors that have taken the same number of steps, and so share their coefficients.

Bias corrections depend on how often a tensor was updated, and one whose gradient is None stays
behind. As long as none does, every group is one cohort, and a step changes none of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter


@dataclass(slots=True, frozen=True)
class Cohort:
    group: int  # its position
    behind: int  # how many fewer steps each member has taken than the optimizer
    members: list[int]  # positions of the tensors


def after_step(cohorts: Sequence[Cohort], absent: Collection[int]) -> list[Cohort]:
    """The cohorts after a step that all tensors took but those in `absent`."""
    staying = set(absent)
    return regroup(
        (i, cohort.group, cohort.behind + (i in staying))
        for cohort in cohorts
        for i in cohort.members
    )


def regroup(tensors: Iterable[tuple[int, int, int]]) -> list[Cohort]:
    """Cohorts from every tensor's position, group and `behind`, group by group.

    Of a group that was picked out of others the positions need not follow one another.
    """
    members: dict[tuple[int, int], list[int]] = {}
    for i, group, behind in sorted(tensors, key=itemgetter(1, 0)):
        members.setdefault((group, behind), []).append(i)
    return [Cohort(*key, of_one) for key, of_one in members.items()]
