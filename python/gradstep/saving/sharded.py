"""A checkpoint of many processes: the first one writes it, for all; each reads its share of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from gradstep.arrays.at_once import Change, filled
from gradstep.distributed.digest import digest
from gradstep.distributed.sharded import Sharded
from gradstep.saving.parts import PARTS, Part, check_kinds, check_params, content_with

Write = Callable[[dict[str, Any]], None]


class ShardedPart(Part):
    """What a checkpoint has of `opt`, of which this rank takes its share."""

    def __init__(
        self, opt: Sharded, content: Mapping[str, Any], hyperparameters: bool, convert: bool
    ) -> None:
        check_kinds(content, PARTS)
        self._sharded, self._given = opt, content["params"]
        own = {**content, "params": None, "optimizer": opt._state.part(content["optimizer"])}
        super().__init__(opt._inner.opt, own, hyperparameters, convert)

    def _check_params(self) -> None:
        if self._given is not None:
            check_params(self._sharded.params, self._given)

    def take_over(self, others: Iterable[Change] = ()) -> None:
        params = self._sharded.params
        changes = [filled(params[name], values) for name, values in (self._given or {}).items()]
        super().take_over([*changes, *others])


def save_together(opt: Sharded, prepared: Callable[[], Write], params: bool) -> None:
    """Let the first rank write what all have; where that fails, all raise. They have the turn."""
    write = opt._agreed("save()", prepared)
    inner = opt._inner.opt
    own = opt._gathered(to=0)
    content = content_with(inner, own, dict(opt.params) if params else None)
    opt._agreed("the end of save()", lambda: write(content) if opt.rank == 0 else None)


def load_together(
    opt: Sharded, load: Callable[[Callable[[Mapping[str, Any]], None]], dict[str, Any]]
) -> dict[str, Any]:
    """Let ``load(agree)`` take a checkpoint over once all ranks have found that theirs fits."""
    met: list[bool] = []

    def agree(content: Mapping[str, Any]) -> None:
        met.append(True)
        opt._meet("load()", also=digest(content))

    try:
        return load(agree)
    except BaseException as error:
        if not met:
            opt._meet("load()", error)
        raise
