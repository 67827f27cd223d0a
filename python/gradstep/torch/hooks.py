"""What torch.optim does around a step: hooks, and the profiler's record."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any

import torch
from torch.optim.optimizer import _global_optimizer_post_hooks, _global_optimizer_pre_hooks

profiling = torch.autograd._profiler_enabled


def is_watched(opt: Any) -> bool:
    """Whether there is anything to do around its step."""
    return bool(
        opt._optimizer_step_pre_hooks
        or opt._optimizer_step_post_hooks
        or _global_optimizer_pre_hooks
        or _global_optimizer_post_hooks
        or profiling()
    )


def hooked(opt: Any, step: Callable[..., Any], closure: Callable[[], Any] | None) -> Any:
    """What ``step(closure)`` returns, with all of that around it."""
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = {} if closure is None else {"closure": closure}
    with torch.autograd.profiler.record_function(f"Optimizer.step#{type(opt).__name__}.step"):
        for pre_hook in chain(
            _global_optimizer_pre_hooks.values(), opt._optimizer_step_pre_hooks.values()
        ):
            result = pre_hook(opt, (opt, *args), kwargs)
            if result is not None:
                if not (isinstance(result, tuple) and len(result) == 2):
                    raise RuntimeError(
                        f"{pre_hook} must return None or a tuple of (new_args, new_kwargs), "
                        f"but got {result}."
                    )
                (_, *args), kwargs = result
        loss = step(*args, **kwargs)
        for post_hook in chain(
            opt._optimizer_step_post_hooks.values(), _global_optimizer_post_hooks.values()
        ):
            post_hook(opt, (opt, *args), kwargs)
    return loss
