"""What the tests must know of an optimizer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import gradstep as gs

Options = dict[str, Any]


@dataclass(frozen=True)
class Variant:
    """One way to configure an optimizer: the rule it must select, and its oracle's options."""

    name: str
    rule: str
    options: Options = field(default_factory=dict)
    oracle_options: Options | None = None  # None: the same as ours
    oracle: str | None = None  # None: that of the spec


@dataclass(frozen=True)
class Spec:
    """An optimizer class, its variants, and the implementation it is compared with.

    `oracle` is "library.Name" of torch.optim, optax or pytorch_optimizer, or "twin" for plain
    Python in the tests. `tolerance` is relative, by dtype, to the largest parameter at the end.
    `changes` are multiplied into hyperparameters after half of them. `refuses` are shared options
    that do not go with it; of "coupled_decay" it is ``decoupled_weight_decay=False``.
    """

    cls: type[gs.Optimizer]
    variants: tuple[Variant, ...]
    oracle: str
    tolerance: dict[str, float] = field(default_factory=lambda: {"float32": 2e-6, "float64": 1e-12})
    changes: Options = field(default_factory=lambda: {"lr": 0.5})
    refuses: tuple[str, ...] = ()

    def allowed(self, options: Options) -> Options:
        """Those of these options that it does not refuse."""
        kept = {name: value for name, value in options.items() if name not in self.refuses}
        if "coupled_decay" in self.refuses and kept.get("decoupled_weight_decay") is False:
            del kept["decoupled_weight_decay"]
        return kept


def adam_like(rule: str, lr: float, **extra: Any) -> tuple[Variant, ...]:
    """The default, other betas and eps, and coupled decay, with an lr that shows in 100 steps."""
    return (
        Variant("default", rule),
        Variant("betas", rule, {"lr": lr, "betas": (0.8, 0.95), "eps": 1e-6, **extra}),
        Variant("coupled_decay", rule, {"lr": lr, "weight_decay": 0.1, **extra}),
    )
