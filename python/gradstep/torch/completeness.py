"""Whether the state that a Holding was made of has all its parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def check_complete(before: Any, now: Any) -> None:
    """Raise a ValueError where a part of a parameter's state is gone since."""
    kept_by = dict(zip(before.given_params, before.names, strict=True))
    for param, name in zip(now.given_params, now.names, strict=True):
        if param not in kept_by or not now.group_state.get(param):
            continue
        if missing := before.kept[kept_by[param]].keys() - now.kept[name].keys():
            raise ValueError(
                f"the state of parameter {name!r} has lost {sorted(missing)}; put back what was "
                "there, or let all of it begin anew: del opt.state[p]"
            )


def check_whole(holding: Any, counts: Sequence[int]) -> None:
    """Raise a ValueError where a state that has taken steps lacks what its rule needs."""
    for cohort in holding.cohorts:
        rule = holding.settings[cohort.group].rule
        for i in cohort.members:
            name = holding.names[i]
            needed = set(holding.method.state_slots(rule, holding.params[name].shape))
            if counts[i] and (missing := needed - holding.state[name].keys()):
                raise ValueError(
                    f"the state of parameter {name!r} has taken {counts[i]} steps and has no "
                    f"{sorted(missing)}; load the whole of it, or none"
                )
