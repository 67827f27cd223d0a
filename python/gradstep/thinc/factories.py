"""What configs of Thinc and spaCy name: ``@optimizers = "gradstep.Adam.v1"``, say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from thinc import optimizers, registry

from gradstep.thinc.optimizer import Optimizer

Factory = TypeVar("Factory", bound=Callable[..., Optimizer])


def registered(like: Any) -> Callable[[Factory], Factory]:
    """Register a factory whose arguments have the types of Thinc's `like`, by which configs are
    checked."""

    def register(factory: Factory) -> Factory:
        factory.__annotations__ = dict(like.__annotations__)
        registry.optimizers(f"gradstep.{factory.__name__}.v1")(factory)
        return factory

    return register


@registered(optimizers.Adam)
def Adam(
    learn_rate: Any = 0.001,
    *,
    L2: Any = 0.0,
    beta1: Any = 0.9,
    beta2: Any = 0.999,
    eps: Any = 1e-8,
    grad_clip: Any = 1.0,
    L2_is_weight_decay: bool = True,
    use_averages: bool = True,
) -> Optimizer:
    """As ``Adam.v1`` of Thinc."""
    return Optimizer(
        learn_rate,
        L2=L2,
        beta1=beta1,
        beta2=beta2,
        eps=eps,
        grad_clip=grad_clip,
        L2_is_weight_decay=L2_is_weight_decay,
        use_averages=use_averages,
    )


@registered(optimizers.Adam)
def AdamW(
    learn_rate: Any = 0.001,
    *,
    L2: Any = 0.01,
    beta1: Any = 0.9,
    beta2: Any = 0.999,
    eps: Any = 1e-8,
    grad_clip: Any = 1.0,
    L2_is_weight_decay: bool = True,
    use_averages: bool = True,
) -> Optimizer:
    """As ``Adam.v1`` of Thinc, with the weight decay of :class:`gradstep.AdamW`."""
    return Adam(
        learn_rate,
        L2=L2,
        beta1=beta1,
        beta2=beta2,
        eps=eps,
        grad_clip=grad_clip,
        L2_is_weight_decay=L2_is_weight_decay,
        use_averages=use_averages,
    )


@registered(optimizers.RAdam)
def RAdam(
    learn_rate: Any = 0.001,
    *,
    beta1: Any = 0.9,
    beta2: Any = 0.999,
    eps: Any = 1e-8,
    L2: Any = 0.0,
    L2_is_weight_decay: bool = True,
    grad_clip: Any = 1.0,
    use_averages: bool = True,
) -> Optimizer:
    """As ``RAdam.v1`` of Thinc, which counts its steps from 2 and whose step takes no lr_scale."""
    return Optimizer(
        learn_rate,
        beta1=beta1,
        beta2=beta2,
        eps=eps,
        grad_clip=grad_clip,
        L2_is_weight_decay=L2_is_weight_decay,
        L2=L2,
        use_averages=use_averages,
        use_radam=True,
    )


@registered(optimizers.SGD)
def SGD(
    learn_rate: Any,
    *,
    L2: Any = 0.0,
    grad_clip: Any = 1.0,
    L2_is_weight_decay: bool = True,
    use_averages: bool = True,
) -> Optimizer:
    """As ``SGD.v1`` of Thinc."""
    return Optimizer(
        learn_rate,
        L2=L2,
        grad_clip=grad_clip,
        L2_is_weight_decay=L2_is_weight_decay,
        beta1=0.0,
        beta2=0.0,
        use_averages=use_averages,
    )
