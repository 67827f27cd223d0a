"""Made by ``python -m tests.stubs``; do not edit."""

from typing import Any

from gradstep.arrays.selection import Groups
from gradstep.method.hyperparameters import Scalar
from gradstep.optimizer.front import Optimizer
from gradstep.optimizer.nesterov_point import NesterovPoint

class SGD(NesterovPoint):
    lr: Any
    momentum: Any
    dampening: Any
    weight_decay: Any
    nesterov: bool
    lr_in_velocity: bool
    cautious: bool
    decoupled_weight_decay: bool
    maximize: bool
    clip_norm: Any
    clip_tensor_norm: Any
    clip_adaptive: Any
    clip_adaptive_eps: Any
    clip_adaptive_axis: Any
    clip_value: Any
    skip_nonfinite: bool
    l1: Any
    ema_decay: Any
    rounding: Any
    seed: Any
    state_dtype: Any
    ema_dtype: Any

    def __init__(
        self,
        params: Any,
        lr: Scalar = 0.001,
        momentum: Scalar = 0.0,
        dampening: Scalar = 0.0,
        weight_decay: Scalar = 0.0,
        nesterov: bool = False,
        lr_in_velocity: bool = False,
        cautious: bool = False,
        *,
        groups: Groups | None = None,
        copies: Any = None,
        decoupled_weight_decay: bool = False,
        maximize: bool = False,
        clip_norm: Scalar | None = None,
        clip_tensor_norm: Scalar | None = None,
        clip_adaptive: Scalar | None = None,
        clip_adaptive_eps: Scalar = 0.001,
        clip_adaptive_axis: int = -1,
        clip_value: Scalar | None = None,
        skip_nonfinite: bool = False,
        l1: Scalar = 0.0,
        ema_decay: Scalar | None = None,
        rounding: str = "nearest",
        seed: int = 0,
        state_dtype: str | None = None,
        ema_dtype: str | None = None,
    ) -> None: ...

class SignSGD(Optimizer):
    lr: Any
    momentum: Any
    weight_decay: Any
    cautious: bool
    decoupled_weight_decay: bool
    maximize: bool
    clip_norm: Any
    clip_tensor_norm: Any
    clip_adaptive: Any
    clip_adaptive_eps: Any
    clip_adaptive_axis: Any
    clip_value: Any
    skip_nonfinite: bool
    l1: Any
    ema_decay: Any
    rounding: Any
    seed: Any
    state_dtype: Any
    ema_dtype: Any

    def __init__(
        self,
        params: Any,
        lr: Scalar = 0.001,
        momentum: Scalar = 0.0,
        weight_decay: Scalar = 0.0,
        cautious: bool = False,
        *,
        groups: Groups | None = None,
        copies: Any = None,
        decoupled_weight_decay: bool = False,
        maximize: bool = False,
        clip_norm: Scalar | None = None,
        clip_tensor_norm: Scalar | None = None,
        clip_adaptive: Scalar | None = None,
        clip_adaptive_eps: Scalar = 0.001,
        clip_adaptive_axis: int = -1,
        clip_value: Scalar | None = None,
        skip_nonfinite: bool = False,
        l1: Scalar = 0.0,
        ema_decay: Scalar | None = None,
        rounding: str = "nearest",
        seed: int = 0,
        state_dtype: str | None = None,
        ema_dtype: str | None = None,
    ) -> None: ...

class Signum(SignSGD):
    def __init__(
        self,
        params: Any,
        lr: Scalar = 0.001,
        momentum: Scalar = 0.9,
        weight_decay: Scalar = 0.0,
        cautious: bool = False,
        *,
        groups: Groups | None = None,
        copies: Any = None,
        decoupled_weight_decay: bool = False,
        maximize: bool = False,
        clip_norm: Scalar | None = None,
        clip_tensor_norm: Scalar | None = None,
        clip_adaptive: Scalar | None = None,
        clip_adaptive_eps: Scalar = 0.001,
        clip_adaptive_axis: int = -1,
        clip_value: Scalar | None = None,
        skip_nonfinite: bool = False,
        l1: Scalar = 0.0,
        ema_decay: Scalar | None = None,
        rounding: str = "nearest",
        seed: int = 0,
        state_dtype: str | None = None,
        ema_dtype: str | None = None,
    ) -> None: ...

class Lion(Optimizer):
    lr: Any
    betas: Any
    weight_decay: Any
    cautious: bool
    decoupled_weight_decay: bool
    maximize: bool
    clip_norm: Any
    clip_tensor_norm: Any
    clip_adaptive: Any
    clip_adaptive_eps: Any
    clip_adaptive_axis: Any
    clip_value: Any
    skip_nonfinite: bool
    l1: Any
    ema_decay: Any
    rounding: Any
    seed: Any
    state_dtype: Any
    ema_dtype: Any

    def __init__(
        self,
        params: Any,
        lr: Scalar = 0.0001,
        betas: tuple[Scalar, Scalar] = (0.9, 0.99),
        weight_decay: Scalar = 0.0,
        cautious: bool = False,
        *,
        groups: Groups | None = None,
        copies: Any = None,
        decoupled_weight_decay: bool = True,
        maximize: bool = False,
        clip_norm: Scalar | None = None,
        clip_tensor_norm: Scalar | None = None,
        clip_adaptive: Scalar | None = None,
        clip_adaptive_eps: Scalar = 0.001,
        clip_adaptive_axis: int = -1,
        clip_value: Scalar | None = None,
        skip_nonfinite: bool = False,
        l1: Scalar = 0.0,
        ema_decay: Scalar | None = None,
        rounding: str = "nearest",
        seed: int = 0,
        state_dtype: str | None = None,
        ema_dtype: str | None = None,
    ) -> None: ...

class ASGD(Optimizer):
    lr: Any
    lambd: Any
    alpha: Any
    t0: Any
    weight_decay: Any
    decoupled_weight_decay: bool
    maximize: bool
    clip_norm: Any
    clip_tensor_norm: Any
    clip_adaptive: Any
    clip_adaptive_eps: Any
    clip_adaptive_axis: Any
    clip_value: Any
    skip_nonfinite: bool
    l1: Any
    ema_decay: Any
    rounding: Any
    seed: Any
    state_dtype: Any
    ema_dtype: Any

    def __init__(
        self,
        params: Any,
        lr: Scalar = 0.01,
        lambd: Scalar = 0.0001,
        alpha: Scalar = 0.75,
        t0: Scalar = 1000000.0,
        weight_decay: Scalar = 0.0,
        *,
        groups: Groups | None = None,
        copies: Any = None,
        decoupled_weight_decay: bool = False,
        maximize: bool = False,
        clip_norm: Scalar | None = None,
        clip_tensor_norm: Scalar | None = None,
        clip_adaptive: Scalar | None = None,
        clip_adaptive_eps: Scalar = 0.001,
        clip_adaptive_axis: int = -1,
        clip_value: Scalar | None = None,
        skip_nonfinite: bool = False,
        l1: Scalar = 0.0,
        ema_decay: Scalar | None = None,
        rounding: str = "nearest",
        seed: int = 0,
        state_dtype: str | None = None,
        ema_dtype: str | None = None,
    ) -> None: ...

class Rprop(Optimizer):
    lr: Any
    etas: Any
    step_sizes: Any
    weight_decay: Any
    decoupled_weight_decay: bool
    maximize: bool
    clip_norm: Any
    clip_tensor_norm: Any
    clip_adaptive: Any
    clip_adaptive_eps: Any
    clip_adaptive_axis: Any
    clip_value: Any
    skip_nonfinite: bool
    l1: Any
    ema_decay: Any
    rounding: Any
    seed: Any
    state_dtype: Any
    ema_dtype: Any

    def __init__(
        self,
        params: Any,
        lr: Scalar = 0.01,
        etas: tuple[Scalar, Scalar] = (0.5, 1.2),
        step_sizes: tuple[Scalar, Scalar] = (1e-06, 50.0),
        weight_decay: Scalar = 0.0,
        *,
        groups: Groups | None = None,
        copies: Any = None,
        decoupled_weight_decay: bool = False,
        maximize: bool = False,
        clip_norm: Scalar | None = None,
        clip_tensor_norm: Scalar | None = None,
        clip_adaptive: Scalar | None = None,
        clip_adaptive_eps: Scalar = 0.001,
        clip_adaptive_axis: int = -1,
        clip_value: Scalar | None = None,
        skip_nonfinite: bool = False,
        l1: Scalar = 0.0,
        ema_decay: Scalar | None = None,
        rounding: str = "nearest",
        seed: int = 0,
        state_dtype: str | None = None,
        ema_dtype: str | None = None,
    ) -> None: ...

class Adagrad(Optimizer):
    lr: Any
    lr_decay: Any
    weight_decay: Any
    initial_accumulator_value: Any
    eps: Any
    eps_inside_sqrt: bool
    decoupled_weight_decay: bool
    maximize: bool
    clip_norm: Any
    clip_tensor_norm: Any
    clip_adaptive: Any
    clip_adaptive_eps: Any
    clip_adaptive_axis: Any
    clip_value: Any
    skip_nonfinite: bool
    l1: Any
    ema_decay: Any
    rounding: Any
    seed: Any
    state_dtype: Any
    ema_dtype: Any

    def __init__(
        self,
        params: Any,
        lr: Scalar = 0.01,
        lr_decay: Scalar = 0.0,
        weight_decay: Scalar = 0.0,
        initial_accumulator_value: Scalar = 0.0,
        eps: Scalar = 1e-10,
        eps_inside_sqrt: bool = False,
        *,
        groups: Groups | None = None,
        copies: Any = None,
        decoupled_weight_decay: bool = False,
        maximize: bool = False,
        clip_norm: Scalar | None = None,
        clip_tensor_norm: Scalar | None = None,
        clip_adaptive: Scalar | None = None,
        clip_adaptive_eps: Scalar = 0.001,
        clip_adaptive_axis: int = -1,
        clip_value: Scalar | None = None,
        skip_nonfinite: bool = False,
        l1: Scalar = 0.0,
        ema_decay: Scalar | None = None,
        rounding: str = "nearest",
        seed: int = 0,
        state_dtype: str | None = None,
        ema_dtype: str | None = None,
    ) -> None: ...

class Adadelta(Optimizer):
    lr: Any
    rho: Any
    eps: Any
    weight_decay: Any
    decoupled_weight_decay: bool
    maximize: bool
    clip_norm: Any
    clip_tensor_norm: Any
    clip_adaptive: Any
    clip_adaptive_eps: Any
    clip_adaptive_axis: Any
    clip_value: Any
    skip_nonfinite: bool
    l1: Any
    ema_decay: Any
    rounding: Any
    seed: Any
    state_dtype: Any
    ema_dtype: Any

    def __init__(
        self,
        params: Any,
        lr: Scalar = 1.0,
        rho: Scalar = 0.9,
        eps: Scalar = 1e-06,
        weight_decay: Scalar = 0.0,
        *,
        groups: Groups | None = None,
        copies: Any = None,
        decoupled_weight_decay: bool = False,
        maximize: bool = False,
        clip_norm: Scalar | None = None,
        clip_tensor_norm: Scalar | None = None,
        clip_adaptive: Scalar | None = None,
        clip_adaptive_eps: Scalar = 0.001,
        clip_adaptive_axis: int = -1,
        clip_value: Scalar | None = None,
        skip_nonfinite: bool = False,
        l1: Scalar = 0.0,
        ema_decay: Scalar | None = None,
        rounding: str = "nearest",
        seed: int = 0,
        state_dtype: str | None = None,
        ema_dtype: str | None = None,
    ) -> None: ...

class RMSprop(NesterovPoint):
    lr: Any
    alpha: Any
    eps: Any
    weight_decay: Any
    momentum: Any
    centered: bool
    nesterov: bool
    eps_inside_sqrt: bool
    cautious: bool
    lr_in_velocity: bool
    decoupled_weight_decay: bool
    maximize: bool
    clip_norm: Any
    clip_tensor_norm: Any
    clip_adaptive: Any
    clip_adaptive_eps: Any
    clip_adaptive_axis: Any
    clip_value: Any
    skip_nonfinite: bool
    l1: Any
    ema_decay: Any
    rounding: Any
    seed: Any
    state_dtype: Any
    ema_dtype: Any

    def __init__(
        self,
        params: Any,
        lr: Scalar = 0.01,
        alpha: Scalar = 0.99,
        eps: Scalar = 1e-08,
        weight_decay: Scalar = 0.0,
        momentum: Scalar = 0.0,
        centered: bool = False,
        nesterov: bool = False,
        eps_inside_sqrt: bool = False,
        cautious: bool = False,
        lr_in_velocity: bool = False,
        *,
        groups: Groups | None = None,
        copies: Any = None,
        decoupled_weight_decay: bool = False,
        maximize: bool = False,
        clip_norm: Scalar | None = None,
        clip_tensor_norm: Scalar | None = None,
        clip_adaptive: Scalar | None = None,
        clip_adaptive_eps: Scalar = 0.001,
        clip_adaptive_axis: int = -1,
        clip_value: Scalar | None = None,
        skip_nonfinite: bool = False,
        l1: Scalar = 0.0,
        ema_decay: Scalar | None = None,
        rounding: str = "nearest",
        seed: int = 0,
        state_dtype: str | None = None,
        ema_dtype: str | None = None,
    ) -> None: ...

class FTRL(Optimizer):
    lr: Any
    beta: Any
    l2: Any
    weight_decay: Any
    initial_accumulator_value: Any
    decoupled_weight_decay: bool
    maximize: bool
    clip_norm: Any
    clip_tensor_norm: Any
    clip_adaptive: Any
    clip_adaptive_eps: Any
    clip_adaptive_axis: Any
    clip_value: Any
    skip_nonfinite: bool
    l1: Any
    ema_decay: Any
    rounding: Any
    seed: Any
    state_dtype: Any
    ema_dtype: Any

    def __init__(
        self,
        params: Any,
        lr: Scalar = 0.1,
        beta: Scalar = 1.0,
        l2: Scalar = 0.0,
        weight_decay: Scalar = 0.0,
        initial_accumulator_value: Scalar = 0.0,
        *,
        groups: Groups | None = None,
        copies: Any = None,
        decoupled_weight_decay: bool = False,
        maximize: bool = False,
        clip_norm: Scalar | None = None,
        clip_tensor_norm: Scalar | None = None,
        clip_adaptive: Scalar | None = None,
        clip_adaptive_eps: Scalar = 0.001,
        clip_adaptive_axis: int = -1,
        clip_value: Scalar | None = None,
        skip_nonfinite: bool = False,
        l1: Scalar = 0.0,
        ema_decay: Scalar | None = None,
        rounding: str = "nearest",
        seed: int = 0,
        state_dtype: str | None = None,
        ema_dtype: str | None = None,
    ) -> None: ...

class Adam(Optimizer):
    lr: Any
    betas: Any
    eps: Any
    weight_decay: Any
    amsgrad: bool
    cautious: bool
    eps_before_correction: bool
    decoupled_weight_decay: bool
    maximize: bool
    clip_norm: Any
    clip_tensor_norm: Any
    clip_adaptive: Any
    clip_adaptive_eps: Any
    clip_adaptive_axis: Any
    clip_value: Any
    skip_nonfinite: bool
    l1: Any
    ema_decay: Any
    rounding: Any
    seed: Any
    state_dtype: Any
    ema_dtype: Any

    def __init__(
        self,
        params: Any,
        lr: Scalar = 0.001,
        betas: tuple[Scalar, Scalar] = (0.9, 0.999),
        eps: Scalar = 1e-08,
        weight_decay: Scalar = 0.0,
        amsgrad: bool = False,
        cautious: bool = False,
        eps_before_correction: bool = False,
        *,
        groups: Groups | None = None,
        copies: Any = None,
        decoupled_weight_decay: bool = False,
        maximize: bool = False,
        clip_norm: Scalar | None = None,
        clip_tensor_norm: Scalar | None = None,
        clip_adaptive: Scalar | None = None,
        clip_adaptive_eps: Scalar = 0.001,
        clip_adaptive_axis: int = -1,
        clip_value: Scalar | None = None,
        skip_nonfinite: bool = False,
        l1: Scalar = 0.0,
        ema_decay: Scalar | None = None,
        rounding: str = "nearest",
        seed: int = 0,
        state_dtype: str | None = None,
        ema_dtype: str | None = None,
    ) -> None: ...

class AdamW(Adam):
    def __init__(
        self,
        params: Any,
        lr: Scalar = 0.001,
        betas: tuple[Scalar, Scalar] = (0.9, 0.999),
        eps: Scalar = 1e-08,
        weight_decay: Scalar = 0.01,
        amsgrad: bool = False,
        cautious: bool = False,
        eps_before_correction: bool = False,
        *,
        groups: Groups | None = None,
        copies: Any = None,
        decoupled_weight_decay: bool = True,
        maximize: bool = False,
        clip_norm: Scalar | None = None,
        clip_tensor_norm: Scalar | None = None,
        clip_adaptive: Scalar | None = None,
        clip_adaptive_eps: Scalar = 0.001,
        clip_adaptive_axis: int = -1,
        clip_value: Scalar | None = None,
        skip_nonfinite: bool = False,
        l1: Scalar = 0.0,
        ema_decay: Scalar | None = None,
        rounding: str = "nearest",
        seed: int = 0,
        state_dtype: str | None = None,
        ema_dtype: str | None = None,
    ) -> None: ...

class NAdam(Optimizer):
    lr: Any
    betas: Any
    eps: Any
    weight_decay: Any
    momentum_decay: Any
    cautious: bool
    decoupled_weight_decay: bool
    maximize: bool
    clip_norm: Any
    clip_tensor_norm: Any
    clip_adaptive: Any
    clip_adaptive_eps: Any
    clip_adaptive_axis: Any
    clip_value: Any
    skip_nonfinite: bool
    l1: Any
    ema_decay: Any
    rounding: Any
    seed: Any
    state_dtype: Any
    ema_dtype: Any

    def __init__(
        self,
        params: Any,
        lr: Scalar = 0.002,
        betas: tuple[Scalar, Scalar] = (0.9, 0.999),
        eps: Scalar = 1e-08,
        weight_decay: Scalar = 0.0,
        momentum_decay: Scalar = 0.004,
        cautious: bool = False,
        *,
        groups: Groups | None = None,
        copies: Any = None,
        decoupled_weight_decay: bool = False,
        maximize: bool = False,
        clip_norm: Scalar | None = None,
        clip_tensor_norm: Scalar | None = None,
        clip_adaptive: Scalar | None = None,
        clip_adaptive_eps: Scalar = 0.001,
        clip_adaptive_axis: int = -1,
        clip_value: Scalar | None = None,
        skip_nonfinite: bool = False,
        l1: Scalar = 0.0,
        ema_decay: Scalar | None = None,
        rounding: str = "nearest",
        seed: int = 0,
        state_dtype: str | None = None,
        ema_dtype: str | None = None,
    ) -> None: ...

class RAdam(Optimizer):
    lr: Any
    betas: Any
    eps: Any
    weight_decay: Any
    cautious: bool
    decoupled_weight_decay: bool
    maximize: bool
    clip_norm: Any
    clip_tensor_norm: Any
    clip_adaptive: Any
    clip_adaptive_eps: Any
    clip_adaptive_axis: Any
    clip_value: Any
    skip_nonfinite: bool
    l1: Any
    ema_decay: Any
    rounding: Any
    seed: Any
    state_dtype: Any
    ema_dtype: Any

    def __init__(
        self,
        params: Any,
        lr: Scalar = 0.001,
        betas: tuple[Scalar, Scalar] = (0.9, 0.999),
        eps: Scalar = 1e-08,
        weight_decay: Scalar = 0.0,
        cautious: bool = False,
        *,
        groups: Groups | None = None,
        copies: Any = None,
        decoupled_weight_decay: bool = False,
        maximize: bool = False,
        clip_norm: Scalar | None = None,
        clip_tensor_norm: Scalar | None = None,
        clip_adaptive: Scalar | None = None,
        clip_adaptive_eps: Scalar = 0.001,
        clip_adaptive_axis: int = -1,
        clip_value: Scalar | None = None,
        skip_nonfinite: bool = False,
        l1: Scalar = 0.0,
        ema_decay: Scalar | None = None,
        rounding: str = "nearest",
        seed: int = 0,
        state_dtype: str | None = None,
        ema_dtype: str | None = None,
    ) -> None: ...

class Adamax(Optimizer):
    lr: Any
    betas: Any
    eps: Any
    weight_decay: Any
    cautious: bool
    decoupled_weight_decay: bool
    maximize: bool
    clip_norm: Any
    clip_tensor_norm: Any
    clip_adaptive: Any
    clip_adaptive_eps: Any
    clip_adaptive_axis: Any
    clip_value: Any
    skip_nonfinite: bool
    l1: Any
    ema_decay: Any
    rounding: Any
    seed: Any
    state_dtype: Any
    ema_dtype: Any

    def __init__(
        self,
        params: Any,
        lr: Scalar = 0.002,
        betas: tuple[Scalar, Scalar] = (0.9, 0.999),
        eps: Scalar = 1e-08,
        weight_decay: Scalar = 0.0,
        cautious: bool = False,
        *,
        groups: Groups | None = None,
        copies: Any = None,
        decoupled_weight_decay: bool = False,
        maximize: bool = False,
        clip_norm: Scalar | None = None,
        clip_tensor_norm: Scalar | None = None,
        clip_adaptive: Scalar | None = None,
        clip_adaptive_eps: Scalar = 0.001,
        clip_adaptive_axis: int = -1,
        clip_value: Scalar | None = None,
        skip_nonfinite: bool = False,
        l1: Scalar = 0.0,
        ema_decay: Scalar | None = None,
        rounding: str = "nearest",
        seed: int = 0,
        state_dtype: str | None = None,
        ema_dtype: str | None = None,
    ) -> None: ...

class AdaBelief(Optimizer):
    lr: Any
    betas: Any
    eps: Any
    weight_decay: Any
    eps_root: Any
    amsgrad: bool
    cautious: bool
    decoupled_weight_decay: bool
    maximize: bool
    clip_norm: Any
    clip_tensor_norm: Any
    clip_adaptive: Any
    clip_adaptive_eps: Any
    clip_adaptive_axis: Any
    clip_value: Any
    skip_nonfinite: bool
    l1: Any
    ema_decay: Any
    rounding: Any
    seed: Any
    state_dtype: Any
    ema_dtype: Any

    def __init__(
        self,
        params: Any,
        lr: Scalar = 0.001,
        betas: tuple[Scalar, Scalar] = (0.9, 0.999),
        eps: Scalar = 1e-16,
        weight_decay: Scalar = 0.0,
        eps_root: Scalar = 1e-16,
        amsgrad: bool = False,
        cautious: bool = False,
        *,
        groups: Groups | None = None,
        copies: Any = None,
        decoupled_weight_decay: bool = False,
        maximize: bool = False,
        clip_norm: Scalar | None = None,
        clip_tensor_norm: Scalar | None = None,
        clip_adaptive: Scalar | None = None,
        clip_adaptive_eps: Scalar = 0.001,
        clip_adaptive_axis: int = -1,
        clip_value: Scalar | None = None,
        skip_nonfinite: bool = False,
        l1: Scalar = 0.0,
        ema_decay: Scalar | None = None,
        rounding: str = "nearest",
        seed: int = 0,
        state_dtype: str | None = None,
        ema_dtype: str | None = None,
    ) -> None: ...

class Yogi(Optimizer):
    lr: Any
    betas: Any
    eps: Any
    weight_decay: Any
    initial_accumulator_value: Any
    cautious: bool
    decoupled_weight_decay: bool
    maximize: bool
    clip_norm: Any
    clip_tensor_norm: Any
    clip_adaptive: Any
    clip_adaptive_eps: Any
    clip_adaptive_axis: Any
    clip_value: Any
    skip_nonfinite: bool
    l1: Any
    ema_decay: Any
    rounding: Any
    seed: Any
    state_dtype: Any
    ema_dtype: Any

    def __init__(
        self,
        params: Any,
        lr: Scalar = 0.01,
        betas: tuple[Scalar, Scalar] = (0.9, 0.999),
        eps: Scalar = 0.001,
        weight_decay: Scalar = 0.0,
        initial_accumulator_value: Scalar = 1e-06,
        cautious: bool = False,
        *,
        groups: Groups | None = None,
        copies: Any = None,
        decoupled_weight_decay: bool = False,
        maximize: bool = False,
        clip_norm: Scalar | None = None,
        clip_tensor_norm: Scalar | None = None,
        clip_adaptive: Scalar | None = None,
        clip_adaptive_eps: Scalar = 0.001,
        clip_adaptive_axis: int = -1,
        clip_value: Scalar | None = None,
        skip_nonfinite: bool = False,
        l1: Scalar = 0.0,
        ema_decay: Scalar | None = None,
        rounding: str = "nearest",
        seed: int = 0,
        state_dtype: str | None = None,
        ema_dtype: str | None = None,
    ) -> None: ...

class ADOPT(Optimizer):
    lr: Any
    betas: Any
    eps: Any
    weight_decay: Any
    clip_exponent: Any
    cautious: bool
    decoupled_weight_decay: bool
    maximize: bool
    clip_norm: Any
    clip_tensor_norm: Any
    clip_adaptive: Any
    clip_adaptive_eps: Any
    clip_adaptive_axis: Any
    clip_value: Any
    skip_nonfinite: bool
    l1: Any
    ema_decay: Any
    rounding: Any
    seed: Any
    state_dtype: Any
    ema_dtype: Any

    def __init__(
        self,
        params: Any,
        lr: Scalar = 0.001,
        betas: tuple[Scalar, Scalar] = (0.9, 0.9999),
        eps: Scalar = 1e-06,
        weight_decay: Scalar = 0.0,
        clip_exponent: Scalar | None = 0.25,
        cautious: bool = False,
        *,
        groups: Groups | None = None,
        copies: Any = None,
        decoupled_weight_decay: bool = False,
        maximize: bool = False,
        clip_norm: Scalar | None = None,
        clip_tensor_norm: Scalar | None = None,
        clip_adaptive: Scalar | None = None,
        clip_adaptive_eps: Scalar = 0.001,
        clip_adaptive_axis: int = -1,
        clip_value: Scalar | None = None,
        skip_nonfinite: bool = False,
        l1: Scalar = 0.0,
        ema_decay: Scalar | None = None,
        rounding: str = "nearest",
        seed: int = 0,
        state_dtype: str | None = None,
        ema_dtype: str | None = None,
    ) -> None: ...

class LaProp(Optimizer):
    lr: Any
    betas: Any
    eps: Any
    weight_decay: Any
    amsgrad: bool
    cautious: bool
    decoupled_weight_decay: bool
    maximize: bool
    clip_norm: Any
    clip_tensor_norm: Any
    clip_adaptive: Any
    clip_adaptive_eps: Any
    clip_adaptive_axis: Any
    clip_value: Any
    skip_nonfinite: bool
    l1: Any
    ema_decay: Any
    rounding: Any
    seed: Any
    state_dtype: Any
    ema_dtype: Any

    def __init__(
        self,
        params: Any,
        lr: Scalar = 0.0004,
        betas: tuple[Scalar, Scalar] = (0.9, 0.999),
        eps: Scalar = 1e-15,
        weight_decay: Scalar = 0.0,
        amsgrad: bool = False,
        cautious: bool = False,
        *,
        groups: Groups | None = None,
        copies: Any = None,
        decoupled_weight_decay: bool = True,
        maximize: bool = False,
        clip_norm: Scalar | None = None,
        clip_tensor_norm: Scalar | None = None,
        clip_adaptive: Scalar | None = None,
        clip_adaptive_eps: Scalar = 0.001,
        clip_adaptive_axis: int = -1,
        clip_value: Scalar | None = None,
        skip_nonfinite: bool = False,
        l1: Scalar = 0.0,
        ema_decay: Scalar | None = None,
        rounding: str = "nearest",
        seed: int = 0,
        state_dtype: str | None = None,
        ema_dtype: str | None = None,
    ) -> None: ...

class Adan(Optimizer):
    lr: Any
    betas: Any
    eps: Any
    weight_decay: Any
    cautious: bool
    decoupled_weight_decay: bool
    maximize: bool
    clip_norm: Any
    clip_tensor_norm: Any
    clip_adaptive: Any
    clip_adaptive_eps: Any
    clip_adaptive_axis: Any
    clip_value: Any
    skip_nonfinite: bool
    l1: Any
    ema_decay: Any
    rounding: Any
    seed: Any
    state_dtype: Any
    ema_dtype: Any

    def __init__(
        self,
        params: Any,
        lr: Scalar = 0.001,
        betas: tuple[Scalar, Scalar, Scalar] = (0.98, 0.92, 0.99),
        eps: Scalar = 1e-08,
        weight_decay: Scalar = 0.0,
        cautious: bool = False,
        *,
        groups: Groups | None = None,
        copies: Any = None,
        decoupled_weight_decay: bool = True,
        maximize: bool = False,
        clip_norm: Scalar | None = None,
        clip_tensor_norm: Scalar | None = None,
        clip_adaptive: Scalar | None = None,
        clip_adaptive_eps: Scalar = 0.001,
        clip_adaptive_axis: int = -1,
        clip_value: Scalar | None = None,
        skip_nonfinite: bool = False,
        l1: Scalar = 0.0,
        ema_decay: Scalar | None = None,
        rounding: str = "nearest",
        seed: int = 0,
        state_dtype: str | None = None,
        ema_dtype: str | None = None,
    ) -> None: ...

class AdEMAMix(Optimizer):
    lr: Any
    betas: Any
    alpha: Any
    warmup_steps: Any
    eps: Any
    weight_decay: Any
    cautious: bool
    decoupled_weight_decay: bool
    maximize: bool
    clip_norm: Any
    clip_tensor_norm: Any
    clip_adaptive: Any
    clip_adaptive_eps: Any
    clip_adaptive_axis: Any
    clip_value: Any
    skip_nonfinite: bool
    l1: Any
    ema_decay: Any
    rounding: Any
    seed: Any
    state_dtype: Any
    ema_dtype: Any

    def __init__(
        self,
        params: Any,
        lr: Scalar = 0.001,
        betas: tuple[Scalar, Scalar, Scalar] = (0.9, 0.999, 0.9999),
        alpha: Scalar = 5.0,
        warmup_steps: Scalar | None = None,
        eps: Scalar = 1e-08,
        weight_decay: Scalar = 0.0,
        cautious: bool = False,
        *,
        groups: Groups | None = None,
        copies: Any = None,
        decoupled_weight_decay: bool = True,
        maximize: bool = False,
        clip_norm: Scalar | None = None,
        clip_tensor_norm: Scalar | None = None,
        clip_adaptive: Scalar | None = None,
        clip_adaptive_eps: Scalar = 0.001,
        clip_adaptive_axis: int = -1,
        clip_value: Scalar | None = None,
        skip_nonfinite: bool = False,
        l1: Scalar = 0.0,
        ema_decay: Scalar | None = None,
        rounding: str = "nearest",
        seed: int = 0,
        state_dtype: str | None = None,
        ema_dtype: str | None = None,
    ) -> None: ...

class LAMB(Optimizer):
    lr: Any
    betas: Any
    eps: Any
    weight_decay: Any
    trust_ratio: bool
    decoupled_weight_decay: bool
    maximize: bool
    clip_norm: Any
    clip_tensor_norm: Any
    clip_adaptive: Any
    clip_adaptive_eps: Any
    clip_adaptive_axis: Any
    clip_value: Any
    skip_nonfinite: bool
    l1: Any
    ema_decay: Any
    rounding: Any
    seed: Any
    state_dtype: Any
    ema_dtype: Any

    def __init__(
        self,
        params: Any,
        lr: Scalar = 0.001,
        betas: tuple[Scalar, Scalar] = (0.9, 0.999),
        eps: Scalar = 1e-06,
        weight_decay: Scalar = 0.0,
        trust_ratio: bool = True,
        *,
        groups: Groups | None = None,
        copies: Any = None,
        decoupled_weight_decay: bool = False,
        maximize: bool = False,
        clip_norm: Scalar | None = None,
        clip_tensor_norm: Scalar | None = None,
        clip_adaptive: Scalar | None = None,
        clip_adaptive_eps: Scalar = 0.001,
        clip_adaptive_axis: int = -1,
        clip_value: Scalar | None = None,
        skip_nonfinite: bool = False,
        l1: Scalar = 0.0,
        ema_decay: Scalar | None = None,
        rounding: str = "nearest",
        seed: int = 0,
        state_dtype: str | None = None,
        ema_dtype: str | None = None,
    ) -> None: ...

class LARS(Optimizer):
    lr: Any
    momentum: Any
    weight_decay: Any
    nesterov: bool
    trust_coefficient: Any
    eps: Any
    trust_ratio: bool
    cautious: bool
    decoupled_weight_decay: bool
    maximize: bool
    clip_norm: Any
    clip_tensor_norm: Any
    clip_adaptive: Any
    clip_adaptive_eps: Any
    clip_adaptive_axis: Any
    clip_value: Any
    skip_nonfinite: bool
    l1: Any
    ema_decay: Any
    rounding: Any
    seed: Any
    state_dtype: Any
    ema_dtype: Any

    def __init__(
        self,
        params: Any,
        lr: Scalar = 0.1,
        momentum: Scalar = 0.9,
        weight_decay: Scalar = 0.0,
        nesterov: bool = False,
        trust_coefficient: Scalar = 0.001,
        eps: Scalar = 0.0,
        trust_ratio: bool = True,
        cautious: bool = False,
        *,
        groups: Groups | None = None,
        copies: Any = None,
        decoupled_weight_decay: bool = False,
        maximize: bool = False,
        clip_norm: Scalar | None = None,
        clip_tensor_norm: Scalar | None = None,
        clip_adaptive: Scalar | None = None,
        clip_adaptive_eps: Scalar = 0.001,
        clip_adaptive_axis: int = -1,
        clip_value: Scalar | None = None,
        skip_nonfinite: bool = False,
        l1: Scalar = 0.0,
        ema_decay: Scalar | None = None,
        rounding: str = "nearest",
        seed: int = 0,
        state_dtype: str | None = None,
        ema_dtype: str | None = None,
    ) -> None: ...

class NovoGrad(Optimizer):
    lr: Any
    betas: Any
    eps: Any
    weight_decay: Any
    grad_averaging: bool
    decoupled_weight_decay: bool
    maximize: bool
    clip_norm: Any
    clip_tensor_norm: Any
    clip_adaptive: Any
    clip_adaptive_eps: Any
    clip_adaptive_axis: Any
    clip_value: Any
    skip_nonfinite: bool
    l1: Any
    ema_decay: Any
    rounding: Any
    seed: Any
    state_dtype: Any
    ema_dtype: Any

    def __init__(
        self,
        params: Any,
        lr: Scalar = 0.01,
        betas: tuple[Scalar, Scalar] = (0.95, 0.98),
        eps: Scalar = 1e-08,
        weight_decay: Scalar = 0.0,
        grad_averaging: bool = False,
        *,
        groups: Groups | None = None,
        copies: Any = None,
        decoupled_weight_decay: bool = False,
        maximize: bool = False,
        clip_norm: Scalar | None = None,
        clip_tensor_norm: Scalar | None = None,
        clip_adaptive: Scalar | None = None,
        clip_adaptive_eps: Scalar = 0.001,
        clip_adaptive_axis: int = -1,
        clip_value: Scalar | None = None,
        skip_nonfinite: bool = False,
        l1: Scalar = 0.0,
        ema_decay: Scalar | None = None,
        rounding: str = "nearest",
        seed: int = 0,
        state_dtype: str | None = None,
        ema_dtype: str | None = None,
    ) -> None: ...

class StableAdamW(Optimizer):
    lr: Any
    betas: Any
    eps: Any
    weight_decay: Any
    decoupled_weight_decay: bool
    maximize: bool
    clip_norm: Any
    clip_tensor_norm: Any
    clip_adaptive: Any
    clip_adaptive_eps: Any
    clip_adaptive_axis: Any
    clip_value: Any
    skip_nonfinite: bool
    l1: Any
    ema_decay: Any
    rounding: Any
    seed: Any
    state_dtype: Any
    ema_dtype: Any

    def __init__(
        self,
        params: Any,
        lr: Scalar = 0.001,
        betas: tuple[Scalar, Scalar] = (0.9, 0.99),
        eps: Scalar = 1e-06,
        weight_decay: Scalar = 0.01,
        *,
        groups: Groups | None = None,
        copies: Any = None,
        decoupled_weight_decay: bool = True,
        maximize: bool = False,
        clip_norm: Scalar | None = None,
        clip_tensor_norm: Scalar | None = None,
        clip_adaptive: Scalar | None = None,
        clip_adaptive_eps: Scalar = 0.001,
        clip_adaptive_axis: int = -1,
        clip_value: Scalar | None = None,
        skip_nonfinite: bool = False,
        l1: Scalar = 0.0,
        ema_decay: Scalar | None = None,
        rounding: str = "nearest",
        seed: int = 0,
        state_dtype: str | None = None,
        ema_dtype: str | None = None,
    ) -> None: ...

class MARS(Optimizer):
    lr: Any
    betas: Any
    gamma: Any
    eps: Any
    weight_decay: Any
    cautious: bool
    decoupled_weight_decay: bool
    maximize: bool
    clip_norm: Any
    clip_tensor_norm: Any
    clip_adaptive: Any
    clip_adaptive_eps: Any
    clip_adaptive_axis: Any
    clip_value: Any
    skip_nonfinite: bool
    l1: Any
    ema_decay: Any
    rounding: Any
    seed: Any
    state_dtype: Any
    ema_dtype: Any

    def __init__(
        self,
        params: Any,
        lr: Scalar = 0.003,
        betas: tuple[Scalar, Scalar] = (0.95, 0.99),
        gamma: Scalar = 0.025,
        eps: Scalar = 1e-08,
        weight_decay: Scalar = 0.0,
        cautious: bool = False,
        *,
        groups: Groups | None = None,
        copies: Any = None,
        decoupled_weight_decay: bool = True,
        maximize: bool = False,
        clip_norm: Scalar | None = None,
        clip_tensor_norm: Scalar | None = None,
        clip_adaptive: Scalar | None = None,
        clip_adaptive_eps: Scalar = 0.001,
        clip_adaptive_axis: int = -1,
        clip_value: Scalar | None = None,
        skip_nonfinite: bool = False,
        l1: Scalar = 0.0,
        ema_decay: Scalar | None = None,
        rounding: str = "nearest",
        seed: int = 0,
        state_dtype: str | None = None,
        ema_dtype: str | None = None,
    ) -> None: ...

class Prodigy(Optimizer):
    lr: Any
    betas: Any
    beta3: Any
    eps: Any
    weight_decay: Any
    use_bias_correction: bool
    safeguard_warmup: bool
    d0: Any
    d_coef: Any
    growth_rate: Any
    decoupled_weight_decay: bool
    maximize: bool
    clip_norm: Any
    clip_tensor_norm: Any
    clip_adaptive: Any
    clip_adaptive_eps: Any
    clip_adaptive_axis: Any
    clip_value: Any
    skip_nonfinite: bool
    l1: Any
    ema_decay: Any
    rounding: Any
    seed: Any
    state_dtype: Any
    ema_dtype: Any

    def __init__(
        self,
        params: Any,
        lr: Scalar = 1.0,
        betas: tuple[Scalar, Scalar] = (0.9, 0.999),
        beta3: Scalar | None = None,
        eps: Scalar = 1e-08,
        weight_decay: Scalar = 0.0,
        use_bias_correction: bool = False,
        safeguard_warmup: bool = False,
        d0: Scalar = 1e-06,
        d_coef: Scalar = 1.0,
        growth_rate: Scalar | None = None,
        *,
        groups: Groups | None = None,
        copies: Any = None,
        decoupled_weight_decay: bool = True,
        maximize: bool = False,
        clip_norm: Scalar | None = None,
        clip_tensor_norm: Scalar | None = None,
        clip_adaptive: Scalar | None = None,
        clip_adaptive_eps: Scalar = 0.001,
        clip_adaptive_axis: int = -1,
        clip_value: Scalar | None = None,
        skip_nonfinite: bool = False,
        l1: Scalar = 0.0,
        ema_decay: Scalar | None = None,
        rounding: str = "nearest",
        seed: int = 0,
        state_dtype: str | None = None,
        ema_dtype: str | None = None,
    ) -> None: ...

class ScheduleFreeSGD(Optimizer):
    lr: Any
    momentum: Any
    weight_decay: Any
    warmup_steps: Any
    r: Any
    weight_lr_power: Any
    decoupled_weight_decay: bool
    maximize: bool
    clip_norm: Any
    clip_tensor_norm: Any
    clip_adaptive: Any
    clip_adaptive_eps: Any
    clip_adaptive_axis: Any
    clip_value: Any
    skip_nonfinite: bool
    l1: Any
    ema_decay: Any
    rounding: Any
    seed: Any
    state_dtype: Any
    ema_dtype: Any

    def __init__(
        self,
        params: Any,
        lr: Scalar = 1.0,
        momentum: Scalar = 0.9,
        weight_decay: Scalar = 0.0,
        warmup_steps: Scalar = 0.0,
        r: Scalar = 0.0,
        weight_lr_power: Scalar = 2.0,
        *,
        groups: Groups | None = None,
        copies: Any = None,
        decoupled_weight_decay: bool = False,
        maximize: bool = False,
        clip_norm: Scalar | None = None,
        clip_tensor_norm: Scalar | None = None,
        clip_adaptive: Scalar | None = None,
        clip_adaptive_eps: Scalar = 0.001,
        clip_adaptive_axis: int = -1,
        clip_value: Scalar | None = None,
        skip_nonfinite: bool = False,
        l1: Scalar = 0.0,
        ema_decay: Scalar | None = None,
        rounding: str = "nearest",
        seed: int = 0,
        state_dtype: str | None = None,
        ema_dtype: str | None = None,
    ) -> None: ...

class ScheduleFreeAdamW(Optimizer):
    lr: Any
    betas: Any
    eps: Any
    weight_decay: Any
    warmup_steps: Any
    r: Any
    weight_lr_power: Any
    decoupled_weight_decay: bool
    maximize: bool
    clip_norm: Any
    clip_tensor_norm: Any
    clip_adaptive: Any
    clip_adaptive_eps: Any
    clip_adaptive_axis: Any
    clip_value: Any
    skip_nonfinite: bool
    l1: Any
    ema_decay: Any
    rounding: Any
    seed: Any
    state_dtype: Any
    ema_dtype: Any

    def __init__(
        self,
        params: Any,
        lr: Scalar = 0.0025,
        betas: tuple[Scalar, Scalar] = (0.9, 0.999),
        eps: Scalar = 1e-08,
        weight_decay: Scalar = 0.0,
        warmup_steps: Scalar = 0.0,
        r: Scalar = 0.0,
        weight_lr_power: Scalar = 2.0,
        *,
        groups: Groups | None = None,
        copies: Any = None,
        decoupled_weight_decay: bool = False,
        maximize: bool = False,
        clip_norm: Scalar | None = None,
        clip_tensor_norm: Scalar | None = None,
        clip_adaptive: Scalar | None = None,
        clip_adaptive_eps: Scalar = 0.001,
        clip_adaptive_axis: int = -1,
        clip_value: Scalar | None = None,
        skip_nonfinite: bool = False,
        l1: Scalar = 0.0,
        ema_decay: Scalar | None = None,
        rounding: str = "nearest",
        seed: int = 0,
        state_dtype: str | None = None,
        ema_dtype: str | None = None,
    ) -> None: ...

class Adafactor(Optimizer):
    lr: Any
    beta2_decay: Any
    eps: Any
    d: Any
    weight_decay: Any
    decoupled_weight_decay: bool
    maximize: bool
    clip_norm: Any
    clip_tensor_norm: Any
    clip_adaptive: Any
    clip_adaptive_eps: Any
    clip_adaptive_axis: Any
    clip_value: Any
    skip_nonfinite: bool
    l1: Any
    ema_decay: Any
    rounding: Any
    seed: Any
    state_dtype: Any
    ema_dtype: Any

    def __init__(
        self,
        params: Any,
        lr: Scalar = 0.01,
        beta2_decay: Scalar = -0.8,
        eps: tuple[Scalar | None, Scalar] = (None, 0.001),
        d: Scalar = 1.0,
        weight_decay: Scalar = 0.0,
        *,
        groups: Groups | None = None,
        copies: Any = None,
        decoupled_weight_decay: bool = True,
        maximize: bool = False,
        clip_norm: Scalar | None = None,
        clip_tensor_norm: Scalar | None = None,
        clip_adaptive: Scalar | None = None,
        clip_adaptive_eps: Scalar = 0.001,
        clip_adaptive_axis: int = -1,
        clip_value: Scalar | None = None,
        skip_nonfinite: bool = False,
        l1: Scalar = 0.0,
        ema_decay: Scalar | None = None,
        rounding: str = "nearest",
        seed: int = 0,
        state_dtype: str | None = None,
        ema_dtype: str | None = None,
    ) -> None: ...

class Muon(Optimizer):
    lr: Any
    weight_decay: Any
    momentum: Any
    nesterov: bool
    ns_coefficients: Any
    eps: Any
    ns_steps: Any
    adjust_lr_fn: Any
    ns_dtype: Any
    optimizer: Any
    adamw_betas: Any
    adamw_eps: Any
    lion_betas: Any
    sgd_momentum: Any
    sgd_nesterov: bool
    decoupled_weight_decay: bool
    maximize: bool
    clip_norm: Any
    clip_tensor_norm: Any
    clip_adaptive: Any
    clip_adaptive_eps: Any
    clip_adaptive_axis: Any
    clip_value: Any
    skip_nonfinite: bool
    l1: Any
    ema_decay: Any
    rounding: Any
    seed: Any
    state_dtype: Any
    ema_dtype: Any

    def __init__(
        self,
        params: Any,
        lr: Scalar = 0.001,
        weight_decay: Scalar = 0.1,
        momentum: Scalar = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[Scalar, Scalar, Scalar] = (3.4445, -4.775, 2.0315),
        eps: Scalar = 1e-07,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
        ns_dtype: str | None = None,
        optimizer: str = "muon",
        adamw_betas: tuple[Scalar, Scalar] = (0.9, 0.999),
        adamw_eps: Scalar = 1e-08,
        lion_betas: tuple[Scalar, Scalar] = (0.9, 0.99),
        sgd_momentum: Scalar = 0.0,
        sgd_nesterov: bool = False,
        *,
        groups: Groups | None = None,
        copies: Any = None,
        decoupled_weight_decay: bool = True,
        maximize: bool = False,
        clip_norm: Scalar | None = None,
        clip_tensor_norm: Scalar | None = None,
        clip_adaptive: Scalar | None = None,
        clip_adaptive_eps: Scalar = 0.001,
        clip_adaptive_axis: int = -1,
        clip_value: Scalar | None = None,
        skip_nonfinite: bool = False,
        l1: Scalar = 0.0,
        ema_decay: Scalar | None = None,
        rounding: str = "nearest",
        seed: int = 0,
        state_dtype: str | None = None,
        ema_dtype: str | None = None,
    ) -> None: ...

class SOAP(Optimizer):
    lr: Any
    betas: Any
    shampoo_beta: Any
    eps: Any
    weight_decay: Any
    precondition_frequency: Any
    max_precondition_dim: Any
    decoupled_weight_decay: bool
    maximize: bool
    clip_norm: Any
    clip_tensor_norm: Any
    clip_adaptive: Any
    clip_adaptive_eps: Any
    clip_adaptive_axis: Any
    clip_value: Any
    skip_nonfinite: bool
    l1: Any
    ema_decay: Any
    rounding: Any
    seed: Any
    state_dtype: Any
    ema_dtype: Any

    def __init__(
        self,
        params: Any,
        lr: Scalar = 0.003,
        betas: tuple[Scalar, Scalar] = (0.95, 0.95),
        shampoo_beta: Scalar = -1.0,
        eps: Scalar = 1e-08,
        weight_decay: Scalar = 0.01,
        precondition_frequency: int = 10,
        max_precondition_dim: int = 10000,
        *,
        groups: Groups | None = None,
        copies: Any = None,
        decoupled_weight_decay: bool = True,
        maximize: bool = False,
        clip_norm: Scalar | None = None,
        clip_tensor_norm: Scalar | None = None,
        clip_adaptive: Scalar | None = None,
        clip_adaptive_eps: Scalar = 0.001,
        clip_adaptive_axis: int = -1,
        clip_value: Scalar | None = None,
        skip_nonfinite: bool = False,
        l1: Scalar = 0.0,
        ema_decay: Scalar | None = None,
        rounding: str = "nearest",
        seed: int = 0,
        state_dtype: str | None = None,
        ema_dtype: str | None = None,
    ) -> None: ...
